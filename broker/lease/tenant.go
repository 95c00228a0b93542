package lease

import "fmt"

// TenantLimit is what one tenant may hold.
type TenantLimit struct {
	MemoryBytes uint64 // of all its Slices together; 0: no limit
	Disabled    bool   // it gets no Lease; those that it has go on
}

// SetTenantLimit says what a tenant may hold. What it holds already stays.
func (l *Ledger) SetTenantLimit(tenant string, limit TenantLimit) {
	if limit == (TenantLimit{}) {
		delete(l.limits, tenant)
		return
	}
	l.limits[tenant] = limit
}

// checkTenant holds a request against its tenant's limit.
func (l *Ledger) checkTenant(r Request) error {
	limit := l.limits[r.Tenant]
	if limit.Disabled {
		return fmt.Errorf("%w: tenant %s is disabled", ErrNoCapacity, r.Tenant)
	}
	if limit.MemoryBytes == 0 {
		return nil
	}
	held := uint64(0)
	for _, e := range l.entries {
		if e.lease.Tenant == r.Tenant {
			held += e.lease.MemoryBytes()
		}
	}
	for _, s := range r.Slices {
		left := limit.MemoryBytes - min(held, limit.MemoryBytes)
		if s.MemoryBytes > left {
			return fmt.Errorf("%w: tenant %s: memory of slices: %d bytes asked, %d of %d left", ErrNoCapacity, r.Tenant, s.MemoryBytes, left, limit.MemoryBytes)
		}
		held += s.MemoryBytes
	}
	return nil
}
