"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

A module imports only from the floors below its own:

==  ==============================================  ==============================================
6   ``cli``                                         the command line
5   ``runs``                                        chapters, presets, papermill
4   ``study``, ``noise_study``, ``results``,        each chapter's experiments; the results folder;
    ``parameters``, ``fingerprint``                 checked values; what results depend on
3   ``claims``, ``plots``, ``provenance``           verdicts; figures; an author's random numbers
2   ``train``, ``rules``                            one training loop; rules compared
1   ``models``, ``networks``, ``covariance``,       know nothing of each other
    ``rates``, ``pruners``, ``metrics``, ``data``
0   ``arrays``, ``seeds``, ``masks``, ``stats``,    shared by all
    ``memory``
==  ==============================================  ==============================================

Within a floor, ``masks`` and ``stats`` use ``arrays``, ``metrics.order`` uses
``metrics.ordering``, and ``pruners.noise`` uses ``pruners.scores``.
"""

__version__ = "0.1.0"
