package main

import (
	"context"
	"errors"
	"time"

	"sluice/proto/gen/control"
	"sluice/store"
)

// ListTenants counts each tenant's keys.
func (s *controlServer) ListTenants(ctx context.Context, _ *control.ListTenantsRequest) (*control.ListTenantsResponse, error) {
	tenants, err := store.LoadAll[store.Tenant](ctx, s.registry, "")
	if err != nil {
		return nil, toStatus(err)
	}
	keys, err := store.LoadAll[store.APIKey](ctx, s.registry, "")
	if err != nil {
		return nil, toStatus(err)
	}
	count := make(map[string]int32)
	for _, key := range keys {
		count[key.Tenant]++
	}
	response := &control.ListTenantsResponse{}
	for _, tenant := range tenants {
		response.Tenants = append(response.Tenants, &control.Tenant{Name: tenant.Name, Keys: count[tenant.Name]})
	}
	return response, nil
}

// CreateKey keeps the key's hash alone.
func (s *controlServer) CreateKey(ctx context.Context, request *control.CreateKeyRequest) (*control.CreateKeyResponse, error) {
	tenant := tenantOf(request.GetTenant())
	now := time.Now()
	secret, key, err := store.NewAPIKey(tenant, "", now)
	if err != nil {
		return nil, toStatus(err)
	}
	_, err = store.Save(ctx, s.registry, store.Tenant{Name: tenant, CreatedAt: now.UTC()}, 0)
	if err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: the tenant exists
		return nil, toStatus(err)
	}
	revision, err := store.Save(ctx, s.registry, key, 0)
	if err != nil {
		return nil, toStatus(err)
	}
	if err := s.known.Await(ctx, store.KindAPIKey, revision); err != nil {
		return nil, toStatus(err)
	}
	return &control.CreateKeyResponse{Tenant: tenant, Key: secret}, nil
}
