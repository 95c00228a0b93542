package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/proto/gen/control"
	"sluice/store"
)

// maxGrace is how long keys may go on that were replaced.
const maxGrace = 30 * 24 * time.Hour

// ListKeys tells of a tenant's keys, never the keys.
func (s *controlServer) ListKeys(ctx context.Context, request *control.ListKeysRequest) (*control.ListKeysResponse, error) {
	tenant := tenantOf(request.GetTenant())
	if _, _, err := store.Load[store.Tenant](ctx, s.registry, tenant); err != nil {
		return nil, toStatus(err)
	}
	keys, err := s.keys(ctx, tenant)
	if err != nil {
		return nil, toStatus(err)
	}
	response := &control.ListKeysResponse{}
	for _, key := range keys {
		described := &control.Key{Id: key.ID(), Label: key.Label, CreatedAt: timestamppb.New(key.CreatedAt)}
		if !key.ExpiresAt.IsZero() {
			described.ExpiresAt = timestamppb.New(key.ExpiresAt)
		}
		response.Keys = append(response.Keys, described)
	}
	return response, nil
}

// CreateKey keeps the key's hash alone, and answers when the key opens something.
func (s *controlServer) CreateKey(ctx context.Context, request *control.CreateKeyRequest) (*control.CreateKeyResponse, error) {
	tenant := tenantOf(request.GetTenant())
	secret, key, err := s.newKey(ctx, tenant, request.GetLabel())
	if err != nil {
		return nil, toStatus(err)
	}
	return &control.CreateKeyResponse{Tenant: tenant, Key: secret, KeyId: key.ID()}, nil
}

// RotateKeys makes the new key first: if it fails half way, the tenant has keys that work.
func (s *controlServer) RotateKeys(ctx context.Context, request *control.RotateKeysRequest) (*control.RotateKeysResponse, error) {
	grace := request.GetGrace().AsDuration()
	if grace < 0 || grace > maxGrace {
		return nil, toStatus(fmt.Errorf("%w: grace: %s is not 0 to %s", store.ErrInvalid, grace, maxGrace))
	}
	tenant := tenantOf(request.GetTenant())
	earlier, err := s.keys(ctx, tenant)
	if err != nil {
		return nil, toStatus(err)
	}
	secret, key, err := s.newKey(ctx, tenant, request.GetLabel())
	if err != nil {
		return nil, toStatus(err)
	}
	end := time.Now().Add(grace).UTC()
	for _, old := range earlier {
		if err := s.endKey(ctx, old, end); err != nil {
			return nil, toStatus(err)
		}
	}
	return &control.RotateKeysResponse{Key: secret, KeyId: key.ID()}, nil
}

// RevokeKey answers when the key opens nothing any more.
func (s *controlServer) RevokeKey(ctx context.Context, request *control.RevokeKeyRequest) (*control.RevokeKeyResponse, error) {
	keys, err := s.keys(ctx, tenantOf(request.GetTenant()))
	if err != nil {
		return nil, toStatus(err)
	}
	at := slices.IndexFunc(keys, func(key store.APIKey) bool { return key.ID() == request.GetKeyId() })
	if at < 0 {
		return nil, toStatus(fmt.Errorf("key %q: %w", request.GetKeyId(), store.ErrNotFound))
	}
	return &control.RevokeKeyResponse{}, toStatus(s.endKey(ctx, keys[at], time.Now().UTC()))
}

// keys lists a tenant's keys that have not ended, oldest first.
func (s *controlServer) keys(ctx context.Context, tenant string) ([]store.APIKey, error) {
	keys, err := store.LoadAll[store.APIKey](ctx, s.registry, "")
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(key store.APIKey) bool { return key.Tenant != tenant || key.Ended(time.Now()) })
	slices.SortStableFunc(keys, func(a, b store.APIKey) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return keys, nil
}

func (s *controlServer) newKey(ctx context.Context, tenant, label string) (secret string, key store.APIKey, err error) {
	if _, _, err := store.Load[store.Tenant](ctx, s.registry, tenant); err != nil {
		return "", store.APIKey{}, err
	}
	if secret, key, err = store.NewAPIKey(tenant, label, time.Now()); err != nil {
		return "", store.APIKey{}, err
	}
	return secret, key, saveNow(ctx, s, key, 0)
}

// endKey lets a key end at a time that is not later than its own end. What ends now is deleted, when all know of it.
func (s *controlServer) endKey(ctx context.Context, key store.APIKey, end time.Time) error {
	kept, revision, err := store.Load[store.APIKey](ctx, s.registry, key.RecordName())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || !kept.ExpiresAt.IsZero() && kept.ExpiresAt.Before(end) {
		return err
	}
	kept.ExpiresAt = end
	if revision, err = store.Save(ctx, s.registry, kept, revision); err != nil {
		return err
	}
	if err := s.known.Await(ctx, store.KindAPIKey, revision); err != nil || end.After(time.Now()) {
		return err
	}
	return s.registry.Delete(ctx, store.KindAPIKey, kept.RecordName(), revision)
}
