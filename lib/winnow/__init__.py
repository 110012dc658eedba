"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

A module imports only from the floors below its own:

==  ==============================================  ==============================================
6   ``cli``                                         the command line
5   ``runs``                                        chapters, presets, papermill
4   ``study``, ``noise_study``, ``field_study``,    each chapter's experiments;
    ``photo_study``, ``image_study``,               the results folder;
    ``motif_study``, ``motif_profiles``,            checked values;
    ``results``, ``parameters``, ``fingerprint``    what results depend on
3   ``claims``, ``plots``, ``provenance``,          verdicts; figures; an author's random numbers;
    ``field_problems``                              what receptive fields are learnt from
2   ``train``, ``rules``, ``sgd``, ``imp``,         training; rules compared; iterative pruning;
    ``epochs``                                      training with its course
1   ``models``, ``networks``, ``graphs``,           know nothing of each other
    ``covariance``, ``rates``, ``pruners``,
    ``metrics``, ``data``
0   ``arrays``, ``seeds``, ``masks``, ``stats``,    shared by all
    ``memory``, ``shelf``
==  ==============================================  ==============================================

Within a floor, ``masks`` and ``stats`` use ``arrays``, ``imp`` uses ``sgd``, and modules of a
package use each other.
"""

__version__ = "0.1.0"
