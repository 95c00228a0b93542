package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"

	"sluice/batcher/runner"
	"sluice/store"
)

// Metadata that carries an API key: `authorization: Bearer <key>`, or the key alone.
const (
	authorizationHeader = "authorization"
	keyHeader           = "sluice-api-key"
	bearer              = "bearer "
)

// tenant finds out who is calling.
func (s *service) tenant(ctx context.Context) (string, error) {
	key, err := apiKey(ctx)
	if err != nil {
		return "", err
	}
	if key == "" {
		if s.DefaultTenant == "" {
			return "", fmt.Errorf("%w: send one as metadata %s: Bearer <key>", ErrUnauthenticated, authorizationHeader)
		}
		return s.DefaultTenant, nil
	}
	tenant, err := s.Tenants.TenantOf(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrUnauthenticated
	}
	if err != nil {
		return "", fmt.Errorf("look up the API key: %w", err)
	}
	return tenant, nil
}

// apiKey returns the key that a call carries, empty where it carries none.
func apiKey(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	keys := md.Get(keyHeader)
	for _, value := range md.Get(authorizationHeader) {
		if len(value) < len(bearer) || !strings.EqualFold(value[:len(bearer)], bearer) {
			return "", fmt.Errorf("%w: metadata %s is not Bearer <key>", ErrUnauthenticated, authorizationHeader)
		}
		keys = append(keys, strings.TrimSpace(value[len(bearer):]))
	}
	switch {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1:
		return "", fmt.Errorf("%w: %d keys were sent", ErrUnauthenticated, len(keys))
	case keys[0] == "" || len(keys[0]) > MaxKeyBytes:
		return "", fmt.Errorf("%w: a key has 1 to %d bytes", ErrUnauthenticated, MaxKeyBytes)
	}
	return keys[0], nil
}

// resolve finds the model that a call names, among the caller's.
func (s *service) resolve(ctx context.Context, model, version string) (runner.Key, error) {
	if err := checkName(model); err != nil {
		return runner.Key{}, fmt.Errorf("%w: model %w", ErrInvalid, err)
	}
	if len(version) > MaxNameBytes {
		return runner.Key{}, fmt.Errorf("%w: model version has %d bytes, the limit is %d", ErrInvalid, len(version), MaxNameBytes)
	}
	tenant, err := s.tenant(ctx)
	if err != nil {
		return runner.Key{}, err
	}
	key, err := s.Functions.Resolve(ctx, tenant, model, version)
	if err != nil {
		return runner.Key{}, fmt.Errorf("model %q version %q: %w", model, version, err)
	}
	return key, nil
}
