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

// tenant finds out who is calling, and counts the call.
func (s *service) tenant(ctx context.Context) (store.Tenant, error) {
	key, err := apiKey(ctx)
	if err != nil {
		return store.Tenant{}, err
	}
	var tenant store.Tenant
	switch {
	case key != "":
		tenant, err = s.Tenants.TenantOf(key)
	case s.DefaultTenant != "":
		tenant, err = s.Tenants.Tenant(s.DefaultTenant)
	default:
		return store.Tenant{}, fmt.Errorf("%w: send one as metadata %s: Bearer <key>", ErrUnauthenticated, authorizationHeader)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.Tenant{}, ErrUnauthenticated
	}
	if err != nil {
		return store.Tenant{}, fmt.Errorf("look up the caller: %w", err)
	}
	return tenant, s.rates.take(tenant)
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

// functionName is the name of the function that a model's name stands for. Models elsewhere have names like simple_string,
// and programs that call them have these built in; a function's name is a DNS label, which has neither '_' nor capitals.
func functionName(model string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_':
			return '-'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, model)
}

// resolve finds who is calling and the function that the call names as model, among the caller's. What is answered is to
// repeat the model's name as it was given.
func (s *service) resolve(ctx context.Context, model, version string) (runner.Key, store.Tenant, error) {
	if err := checkName(model); err != nil {
		return runner.Key{}, store.Tenant{}, fmt.Errorf("%w: model %w", ErrInvalid, err)
	}
	if len(version) > MaxNameBytes {
		return runner.Key{}, store.Tenant{}, fmt.Errorf("%w: model version has %d bytes, the limit is %d", ErrInvalid, len(version), MaxNameBytes)
	}
	tenant, err := s.tenant(ctx)
	if err != nil {
		return runner.Key{}, store.Tenant{}, err
	}
	key, err := s.Functions.Resolve(ctx, tenant.Name, functionName(model), version)
	if errors.Is(err, store.ErrNotFound) {
		//lint:ignore ST1005 begins as Triton's, by which its clients know it
		return runner.Key{}, store.Tenant{}, fmt.Errorf("Request for unknown model: %q version %q: %w", model, version, err)
	}
	if err != nil {
		return runner.Key{}, store.Tenant{}, fmt.Errorf("model %q version %q: %w", model, version, err)
	}
	return key, tenant, nil
}
