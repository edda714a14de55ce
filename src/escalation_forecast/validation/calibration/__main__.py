from escalation_forecast.validation.calibration.cli import main

# A worker's process imports this file too.
if __name__ == "__main__":
    raise SystemExit(main())
