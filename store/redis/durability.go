package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

// checkDurability refuses a server that acknowledges writes before they are on its disk, or that drops keys when it is
// full. A server that does not show its configuration is taken as it is, with a warning.
func (s *Store) checkDurability(ctx context.Context) error {
	if s.settings.trusted {
		return nil
	}
	err := s.try(ctx, func(ctx context.Context) error {
		if cluster, ok := s.client.(*redis.ClusterClient); ok {
			return cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return checkServer(ctx, server) })
		}
		return checkServer(ctx, s.client)
	})
	var answered redis.Error
	if errors.As(err, &answered) && !errors.Is(err, store.ErrUnavailable) {
		s.log.Warn("the store's server does not show whether it keeps what it acknowledges", "server", s.settings.address, "error", err)
		return nil
	}
	return err
}

func checkServer(ctx context.Context, server redis.Cmdable) error {
	configuration := make(map[string]string)
	for _, pattern := range []string{"append*", "maxmemory*"} {
		part, err := server.ConfigGet(ctx, pattern).Result()
		if err != nil {
			return err
		}
		for name, value := range part {
			configuration[name] = value
		}
	}
	if on, when := configuration["appendonly"], configuration["appendfsync"]; on != "yes" || when != "always" {
		return fmt.Errorf("%w: the server may lose what it acknowledged: appendonly is %q and appendfsync %q; set them to yes and always, "+
			"or accept the loss with durability=trusted in the URL", store.ErrInvalid, on, when)
	}
	if policy := configuration["maxmemory-policy"]; configuration["maxmemory"] != "0" && strings.HasPrefix(policy, "allkeys") {
		return fmt.Errorf("%w: the server drops keys when it is full: maxmemory-policy is %q; set it to noeviction, "+
			"or accept the loss with durability=trusted in the URL", store.ErrInvalid, policy)
	}
	return nil
}
