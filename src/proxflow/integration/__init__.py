"""Data sets integrated across batches: one cohort carried onto another, class by class, and judged on samples held out.

    start      every class is shifted (and the columns rescaled) to the reference: `starts`
    path       then it flows along -grad φ as far as samples held out approve: `paths`
    transport  both, fitted and kept for samples that come later: `transport`

`annotated` speaks scanpy's conventions; `scores` and `report` say how good it is.
"""
