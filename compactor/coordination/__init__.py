"""What runs leave beside a table: intents before effects, the fate of outputs, results by run id. Correctness rests on none of it."""
