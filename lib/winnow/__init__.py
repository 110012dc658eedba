"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

A module imports only from the floors below its own:

==  ==============================================  ==============================================
6   ``cli``                                         the command line
5   ``runs``                                        chapters, presets, papermill
4   ``study``, ``results``, ``parameters``,         cohorts; the results folder; checked values;
    ``fingerprint``                                 what results depend on
3   ``claims``, ``plots``, ``provenance``           verdicts; figures; an author's random numbers
2   ``train``                                       one replica-batched training loop
1   ``models``, ``pruners``, ``metrics``, ``data``  know nothing of each other
0   ``arrays``, ``seeds``, ``masks``, ``stats``     shared by all
==  ==============================================  ==============================================

Within a floor, ``masks`` and ``stats`` use ``arrays``, and ``metrics.order`` uses
``metrics.ordering``.
"""

__version__ = "0.1.0"
