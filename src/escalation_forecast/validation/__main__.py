from escalation_forecast.validation.cli import main

raise SystemExit(main())
