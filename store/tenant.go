package store

import (
	"fmt"
	"math"
	"time"
)

// Tenant is who deploys functions and is counted for what they use.
type Tenant struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	// Disabled: its keys open nothing, and nothing of it runs.
	Disabled bool         `json:"disabled,omitempty"`
	Limits   TenantLimits `json:"limits"`
}

// TenantLimits bound what a tenant may use at once. 0 stands for no limit but those that all tenants have.
type TenantLimits struct {
	Instances         int     `json:"instances,omitempty"`          // of all its functions
	SliceMemoryBytes  uint64  `json:"slice_memory_bytes,omitempty"` // memory of the devices' slices that it holds
	RequestsPerSecond float64 `json:"requests_per_second,omitempty"`
	RequestBytes      int     `json:"request_bytes,omitempty"` // of one request
}

// The largest limits that say something.
const (
	MaxTenantInstances         = 1 << 20
	MaxTenantRequestsPerSecond = 1e6
	MaxTenantRequestBytes      = 64 << 20
)

// Check reports a limit out of range; the error wraps ErrInvalid and names it.
func (l TenantLimits) Check() error {
	switch {
	case l.Instances < 0 || l.Instances > MaxTenantInstances:
		return fmt.Errorf("%w: instances: %d is not 0 to %d", ErrInvalid, l.Instances, MaxTenantInstances)
	case l.SliceMemoryBytes > MaxMemoryBytes:
		return fmt.Errorf("%w: slice_memory_bytes: %d is over %d", ErrInvalid, l.SliceMemoryBytes, uint64(MaxMemoryBytes))
	case math.IsNaN(l.RequestsPerSecond) || l.RequestsPerSecond < 0 || l.RequestsPerSecond > MaxTenantRequestsPerSecond:
		return fmt.Errorf("%w: requests_per_second: %g is not 0 to %g", ErrInvalid, l.RequestsPerSecond, float64(MaxTenantRequestsPerSecond))
	case l.RequestBytes < 0 || l.RequestBytes > MaxTenantRequestBytes:
		return fmt.Errorf("%w: request_bytes: %d is not 0 to %d", ErrInvalid, l.RequestBytes, MaxTenantRequestBytes)
	}
	return nil
}
