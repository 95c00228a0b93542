package redis

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

var (
	//go:embed scripts/add.lua
	addSource string
	addScript = redis.NewScript(addSource)
)

// Add implements store.Counters.
func (s *Store) Add(ctx context.Context, tenant string, deltas map[string]int64) error {
	if err := errors.Join(ctx.Err(), store.CheckDeltas(tenant, deltas)); err != nil {
		return err
	}
	arguments := make([]any, 0, 2*len(deltas))
	for name, delta := range deltas {
		arguments = append(arguments, name, delta)
	}
	over, err := s.run(ctx, addScript, s.keys("counters:"+tenant), arguments...)
	if err == nil && over != "" {
		return fmt.Errorf("%w: counter %q: the sum is over the limit of 64 bits", store.ErrInvalid, over)
	}
	return err
}

// Totals implements store.Counters.
func (s *Store) Totals(ctx context.Context, tenant string) (map[string]int64, error) {
	if err := errors.Join(ctx.Err(), store.CheckName("tenant", tenant)); err != nil {
		return nil, err
	}
	var texts map[string]string
	err := s.try(ctx, func(ctx context.Context) (err error) {
		texts, err = s.client.HGetAll(ctx, s.key("counters:"+tenant)).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	totals := make(map[string]int64, len(texts))
	for name, text := range texts {
		if totals[name], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("counter %q: %w", name, errReply)
		}
	}
	return totals, nil
}
