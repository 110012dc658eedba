"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

A module imports only from the floors below its own:

==  ==============================================  =========================================
5   :mod:`~winnow.cli`                              the command line
4   :mod:`~winnow.runs`                             chapters, presets, papermill
3   :mod:`~winnow.claims`, :mod:`~winnow.plots`     verdicts; one figure style
2   :mod:`~winnow.train`                            one replica-batched training loop
1   ``models``, ``pruners``, ``metrics``, ``data``  know nothing of each other
0   ``arrays``, ``seeds``, ``masks``, ``stats``     shared by all
==  ==============================================  =========================================
"""

__version__ = "0.1.0"
