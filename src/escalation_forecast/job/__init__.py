"""The unattended reforecast: one call that a timer makes every morning.

``run_job(read_config("job.toml"))`` takes the lock, reads the figures, leaves if nothing changed, else fits,
checks, archives, explains, exports, reports and alerts. See docs/reforecast.md.
"""

from escalation_forecast.job.codes import MEANINGS, Code
from escalation_forecast.job.config import Config, read_config
from escalation_forecast.job.machine import run_job
from escalation_forecast.job.outcome import Outcome
from escalation_forecast.job.work import Tools

__all__ = ["MEANINGS", "Code", "Config", "Outcome", "Tools", "read_config", "run_job"]
