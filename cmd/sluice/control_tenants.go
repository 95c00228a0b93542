package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/proto/gen/control"
	"sluice/store"
)

// ListTenants counts each tenant's keys that open something.
func (s *controlServer) ListTenants(ctx context.Context, request *control.ListTenantsRequest) (*control.ListTenantsResponse, error) {
	tenants, err := store.LoadAll[store.Tenant](ctx, s.registry, request.GetTenant())
	if err != nil {
		return nil, toStatus(err)
	}
	response := &control.ListTenantsResponse{}
	for _, tenant := range tenants {
		if request.GetTenant() != "" && tenant.Name != request.GetTenant() {
			continue // its name begins alike
		}
		described, err := s.describeTenant(ctx, tenant)
		if err != nil {
			return nil, toStatus(err)
		}
		response.Tenants = append(response.Tenants, described)
	}
	return response, nil
}

// CreateTenant answers when the limits are in effect.
func (s *controlServer) CreateTenant(ctx context.Context, request *control.CreateTenantRequest) (*control.CreateTenantResponse, error) {
	if err := store.CheckName("tenant", request.GetTenant()); err != nil {
		return nil, toStatus(err)
	}
	limits, err := limitsOf(request.GetLimits())
	if err != nil {
		return nil, toStatus(err)
	}
	tenant := store.Tenant{Name: request.GetTenant(), CreatedAt: time.Now().UTC(), Limits: limits}
	err = saveNow(ctx, s, tenant, 0)
	if errors.Is(err, store.ErrConflict) {
		return nil, status.Errorf(codes.AlreadyExists, "there is a tenant %q already", tenant.Name)
	}
	if err != nil {
		return nil, toStatus(err)
	}
	described, err := s.describeTenant(ctx, tenant)
	return &control.CreateTenantResponse{Tenant: described}, toStatus(err)
}

// UpdateTenant answers when the change is in effect; what of a disabled tenant runs is ending then.
func (s *controlServer) UpdateTenant(ctx context.Context, request *control.UpdateTenantRequest) (*control.UpdateTenantResponse, error) {
	tenant, revision, err := store.Load[store.Tenant](ctx, s.registry, tenantOf(request.GetTenant()))
	if err != nil {
		return nil, toStatus(err)
	}
	if request.Disabled != nil {
		tenant.Disabled = request.GetDisabled()
	}
	if request.GetLimits() != nil {
		if tenant.Limits, err = limitsOf(request.GetLimits()); err != nil {
			return nil, toStatus(err)
		}
	}
	if err := saveNow(ctx, s, tenant, revision); err != nil {
		return nil, toStatus(err)
	}
	described, err := s.describeTenant(ctx, tenant)
	return &control.UpdateTenantResponse{Tenant: described}, toStatus(err)
}

// saveNow writes an object and waits until it is in effect here.
func saveNow[T store.Object](ctx context.Context, s *controlServer, object T, revision uint64) error {
	revision, err := store.Save(ctx, s.registry, object, revision)
	if err != nil {
		return err
	}
	return s.known.Await(ctx, object.RecordKind(), revision)
}

func limitsOf(given *control.TenantLimits) (store.TenantLimits, error) {
	limits := store.TenantLimits{
		Instances: int(given.GetInstances()), SliceMemoryBytes: given.GetSliceMemoryBytes(),
		RequestsPerSecond: given.GetRequestsPerSecond(), RequestBytes: int(given.GetRequestBytes()),
	}
	return limits, limits.Check()
}

func (s *controlServer) describeTenant(ctx context.Context, tenant store.Tenant) (*control.Tenant, error) {
	keys, err := s.keys(ctx, tenant.Name)
	if err != nil {
		return nil, err
	}
	return &control.Tenant{
		Name: tenant.Name, Keys: int32(len(keys)), Disabled: tenant.Disabled, CreatedAt: timestamppb.New(tenant.CreatedAt),
		Limits: &control.TenantLimits{
			Instances: int32(tenant.Limits.Instances), SliceMemoryBytes: tenant.Limits.SliceMemoryBytes,
			RequestsPerSecond: tenant.Limits.RequestsPerSecond, RequestBytes: int32(tenant.Limits.RequestBytes),
		},
	}, nil
}
