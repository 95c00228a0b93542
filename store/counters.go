package store

import (
	"context"
	"fmt"
	"math"
)

// Limits of counters.
const (
	MaxCounterNameBytes = 128
	// MaxCounterDeltas bounds the counters of one Add.
	MaxCounterDeltas = 1024
)

// Counters adds up numbers by tenant and name, such as what a tenant has used. A call that returned nil has reached
// stable storage. All methods are safe for concurrent use. A name or number out of its limits gives ErrInvalid; an engine
// that is out of reach gives ErrUnavailable.
type Counters interface {
	// Add adds each delta to the tenant's counter of that name, all of them or none. ErrInvalid also if a sum leaves
	// the range of int64.
	Add(ctx context.Context, tenant string, deltas map[string]int64) error

	// Totals gives the tenant's counters that were ever added to.
	Totals(ctx context.Context, tenant string) (map[string]int64, error)
}

// CheckDeltas reports whether what is to be added keeps to the limits, for implementations; the error wraps ErrInvalid.
func CheckDeltas(tenant string, deltas map[string]int64) error {
	if len(deltas) > MaxCounterDeltas {
		return fmt.Errorf("%w: deltas: %d are over the limit of %d", ErrInvalid, len(deltas), MaxCounterDeltas)
	}
	for name, delta := range deltas {
		if name == "" || len(name) > MaxCounterNameBytes {
			return fmt.Errorf("%w: counter name: %d bytes, must be 1 to %d", ErrInvalid, len(name), MaxCounterNameBytes)
		}
		if delta == math.MinInt64 {
			return fmt.Errorf("%w: delta of counter %q: %d is under the limit of %d", ErrInvalid, name, delta, math.MinInt64+1)
		}
	}
	return CheckName("tenant", tenant)
}
