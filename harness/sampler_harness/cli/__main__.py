"""``python -m sampler_harness.cli``: the command in an environment where its script is not installed."""

from . import main

raise SystemExit(main())
