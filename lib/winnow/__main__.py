"""``python -m winnow`` is ``winnow``."""

from winnow.running.cli import main

main()
