package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const maxDeployAttempts = 64

// Deploy keeps spec as the next Version of the tenant's function and makes it the latest. The tenant must
// exist (ErrNotFound). Concurrent deployments get different numbers.
func Deploy(ctx context.Context, registry Registry, tenant string, spec FunctionSpec, now time.Time) (Version, error) {
	if _, _, err := Load[Tenant](ctx, registry, tenant); err != nil {
		return Version{}, err
	}
	taken := 0 // a number above Latest that some other deployment holds or left behind
	for range maxDeployAttempts {
		function, revision, err := loadOrNew(ctx, registry, tenant, spec.Name, now)
		if err != nil {
			return Version{}, err
		}
		latest, err := strconv.Atoi(function.Latest)
		if err != nil {
			return Version{}, fmt.Errorf("latest version of function %q: %w", spec.Name, err)
		}
		number := max(latest, taken) + 1
		version := Version{Tenant: tenant, Function: spec.Name, Number: strconv.Itoa(number), Spec: spec, CreatedAt: now.UTC()}
		versionRevision, err := Save(ctx, registry, version, 0)
		if errors.Is(err, ErrConflict) {
			taken = number
			continue
		}
		if err != nil {
			return Version{}, err
		}
		function.Latest, function.UpdatedAt = version.Number, now.UTC()
		_, err = Save(ctx, registry, function, revision)
		if err == nil {
			return version, nil
		}
		if undo := registry.Delete(ctx, KindVersion, version.RecordName(), versionRevision); undo != nil && !errors.Is(undo, ErrNotFound) {
			return Version{}, errors.Join(err, undo)
		}
		if !errors.Is(err, ErrConflict) {
			return Version{}, err
		}
	}
	return Version{}, fmt.Errorf("deploy function %q: %w after %d attempts", spec.Name, ErrConflict, maxDeployAttempts)
}

func loadOrNew(ctx context.Context, registry Registry, tenant, name string, now time.Time) (Function, uint64, error) {
	function, revision, err := Load[Function](ctx, registry, FunctionRecord(tenant, name))
	if errors.Is(err, ErrNotFound) {
		return Function{Tenant: tenant, Name: name, Latest: "0", CreatedAt: now.UTC()}, 0, nil
	}
	return function, revision, err
}

// Remove deletes a function and all its versions, or gives ErrNotFound. ErrConflict: somebody deployed it
// meanwhile, and nothing was removed.
func Remove(ctx context.Context, registry Registry, tenant, name string) error {
	_, revision, err := Load[Function](ctx, registry, FunctionRecord(tenant, name))
	if err != nil {
		return err
	}
	// Listed before the function goes: a deployment that comes later owns the versions that it makes.
	versions, err := registry.List(ctx, KindVersion, FunctionRecord(tenant, name)+"/")
	if err != nil {
		return fmt.Errorf("remove versions of function %q: %w", name, err)
	}
	if err := registry.Delete(ctx, KindFunction, FunctionRecord(tenant, name), revision); err != nil {
		return fmt.Errorf("remove function %q: %w", name, err)
	}
	for _, version := range versions {
		if err := registry.Delete(ctx, KindVersion, version.Name, version.Revision); err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("remove version %q: %w", version.Name, err)
		}
	}
	return nil
}

// LatestVersion gives the Version that requests without one go to, or ErrNotFound.
func LatestVersion(ctx context.Context, registry Registry, tenant, name string) (Version, error) {
	function, _, err := Load[Function](ctx, registry, FunctionRecord(tenant, name))
	if err != nil {
		return Version{}, err
	}
	version, _, err := Load[Version](ctx, registry, VersionRecord(tenant, name, function.Latest))
	return version, err
}
