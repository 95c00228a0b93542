package main

import (
	"sluice/store"
	"sluice/store/directory"
)

// callers adapts the directory to gateway.Tenants.
type callers struct{ *directory.Directory }

func (c callers) TenantOf(key string) (store.Tenant, error) {
	caller, err := c.Authenticate(key)
	return caller.Tenant, err
}
