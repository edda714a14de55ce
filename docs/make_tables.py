"""Write the measured tables of two pages from a finished run; `make tables` calls it."""

from __future__ import annotations

import argparse
from pathlib import Path

from escalation_forecast import Scenarios, Updater
from escalation_forecast.elicit import page as priors_page
from escalation_forecast.scenario import page as scenarios_page

HERE = Path(__file__).parent
ANSWERS = [
    "arms-race-regional/any-2026-2028",
    "arms-race-regional/2026",
    "arms-race-regional/2027",
    "arms-race-annual/2027",
    "use-of-force/korea/12m",
    "use-of-force/taiwan/12m",
    "use-of-force/ukraine_nato/12m",
    "wider-war/any/12m",
    "wider-war/joining/12m",
    "wider-war/war/12m",
    "tension-exceeds/news_taiwan/12m",
    "troops-exceed/15000/12m",
]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("run", type=Path, help="folder of a default run")
    updater = Updater.of(asked.parse_args().run)
    found = updater.sensitivity(questions=ANSWERS)
    day = updater.run.summary["as_of"]
    sensitivity = f"From a run of {updater.draws.n:,} draws as of {day}:\n\n{found.markdown(ANSWERS)}"
    priors_page.write_page(HERE / "priors.md", sensitivity=sensitivity)
    scenarios_page.write_page(HERE / "scenarios.md", Scenarios.of(updater).run_all())


if __name__ == "__main__":
    main()
