"""A/B tests of a challenger against the champion.

router       assigns users to variants, calls champion or challenger, falls back to the champion
recorder     adds records to the spool without delaying requests
spool        a bounded queue on disk, between the router's process and the writer's
writer       moves records from the spool to the store
stores       SQLite, DynamoDB, Cosmos DB: one interface
results      joins predictions and outcomes
users        the values that are compared: one row of measures for each user
statistics   tests of a difference
planning     the users and days that the tests need
analysis     figures, verdict and report of an experiment
"""
