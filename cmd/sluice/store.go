package main

import (
	"context"
	"fmt"
	"log/slog"

	"sluice/store"
	"sluice/store/bolt"
	"sluice/store/redis"
)

// openStore opens the store that --store names.
func openStore(ctx context.Context, flags serveFlags, log *slog.Logger) (store.Registry, error) {
	if flags.store != "" {
		return redis.Open(ctx, flags.store, log.With("component", "store"))
	}
	opened, err := bolt.Open(flags.in("store.bolt"))
	if err != nil {
		return nil, fmt.Errorf("opening the store (does another daemon use %s?): %w", flags.stateFolder, err)
	}
	return opened, nil
}
