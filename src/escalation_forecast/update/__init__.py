"""What other priors would say, from the draws at hand: reweighting, refits, sensitivity."""

from escalation_forecast.update.power_scaling import Sensitivity, sensitivity
from escalation_forecast.update.result import Update
from escalation_forecast.update.reweight import update
from escalation_forecast.update.updater import Updater

__all__ = ["Sensitivity", "Update", "Updater", "sensitivity", "update"]
