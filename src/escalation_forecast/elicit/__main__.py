"""``python -m escalation_forecast.elicit [docs/priors.md]``: writes the tables of the page anew."""

import sys
from pathlib import Path

from escalation_forecast.elicit.page import write_page

if __name__ == "__main__":
    write_page(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/priors.md"))
