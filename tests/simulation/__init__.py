"""A world in one process under one seed: writers and compactors on a store in memory, interleaved call by call, watched by an auditor."""
