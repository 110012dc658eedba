"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

A module imports only from the floors below its own:

==  ==============================================  ==============================================
9   ``cli``, ``sweeping``                           the command line
8   ``cluster``, ``tables``                         sweeps on Dask; their table and picture
7   ``sweeps``                                      runs of a grid, kept one by one
6   ``runs``                                        chapters and presets
5   ``execution``, ``grid``                         papermill; values of a command line
4   ``study``, ``noise_study``, ``field_study``,    each chapter's experiments;
    ``photo_study``, ``image_study``,               the results folder;
    ``motif_study``, ``motif_profiles``,            checked values;
    ``results``, ``parameters``, ``fingerprint``,   what results depend on;
    ``scoreboard``, ``effects``                     all claims at once
3   ``claims``, ``plots``, ``provenance``,          verdicts; figures; an author's random numbers;
    ``field_problems``, ``excerpts``                problems of receptive fields; words of chapters
2   ``train``, ``rules``, ``sgd``, ``imp``,         training; rules compared; iterative pruning;
    ``epochs``                                      training with its course
1   ``models``, ``networks``, ``graphs``,           know nothing of each other
    ``covariance``, ``rates``, ``pruners``,
    ``metrics``, ``data``
0   ``arrays``, ``seeds``, ``masks``, ``stats``,    shared by all
    ``memory``, ``shelf``, ``nursery``
==  ==============================================  ==============================================

Within a floor, ``masks`` and ``stats`` use ``arrays``, ``imp`` uses ``sgd``, ``cli`` uses
``sweeping``, ``scoreboard`` uses ``results``, and modules of a package use each other.
"""

__version__ = "0.1.0"
