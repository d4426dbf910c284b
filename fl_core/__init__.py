"""The training core: what a round of federated training does.

It knows clients, rows, models and updates; nothing of waiting, carbon or sessions. Lowest first:

    numerics      threads, counter-based draws, sums in a fixed order
    data          data sets, and partitions that deal their rows to clients
    models        models as flat parameter vectors
    training      a client's local steps, by backend
    aggregation   from updates to the server's step; compression, privacy
    federation    `RoundEngine`: E federations of N clients; `FederatedCore` trains them on data
    quadratics    the same interface with an exact optimum
    remote        the same interface with training elsewhere
    theory        predicted bias, variance and fixed points of a participation
    testing       batteries for everybody's plug-ins

Data sets, partitions, models, trainers, aggregators and compressions are made by name from a registry
(`DATASETS`, `PARTITIONS`, `MODELS`, `TRAINERS`, `AGGREGATORS`, `COMPRESSIONS`), each from its package's door.
"""
