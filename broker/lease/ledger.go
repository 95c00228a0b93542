package lease

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/broker/device"
)

// Ledger knows the capacity of the pool's Devices and who holds what. It is a pure core: no clock, no goroutine, no
// I/O; the caller gives the time and the ids, and serialises the calls.
//
// A Lease ends in two steps. Expire and End take it from its holder: its token opens nothing any more. Its Slices stay
// counted until Free, which the caller calls when the worker's process is gone, because only then is the device's
// memory really free.
type Ledger struct {
	devices []device.Device // in the order of preference for requests that name no device
	used    map[string]usage
	entries map[string]*entry
	limits  map[string]TenantLimit
	broken  map[string]string // why a device takes no new Lease
}

type usage struct {
	memoryBytes  uint64
	computeMilli int
}

type entry struct {
	lease Lease
	ended bool
}

// NewLedger makes a Ledger over a pool of devices. Devices that fail Validate or repeat an id are an error.
func NewLedger(devices []device.Device) (*Ledger, error) {
	l := &Ledger{used: map[string]usage{}, entries: map[string]*entry{}, limits: map[string]TenantLimit{}, broken: map[string]string{}}
	for _, d := range devices {
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("making a ledger: %w", err)
		}
		if _, taken := l.used[d.ID]; taken {
			return nil, fmt.Errorf("making a ledger: %w: device id %s twice", ErrInvalid, d.ID)
		}
		l.used[d.ID] = usage{}
		l.devices = append(l.devices, d)
	}
	return l, nil
}

// Devices lists the pool.
func (l *Ledger) Devices() []device.Device { return slices.Clone(l.devices) }

// Device finds a Device of the pool.
func (l *Ledger) Device(id string) (device.Device, bool) {
	i := slices.IndexFunc(l.devices, func(d device.Device) bool { return d.ID == id })
	if i < 0 {
		return device.Device{}, false
	}
	return l.devices[i], true
}

// Available says what is left of a Device: bytes of memory, thousandths of compute.
func (l *Ledger) Available(deviceID string) (memoryBytes uint64, computeMilli int) {
	d, ok := l.Device(deviceID)
	if !ok {
		return 0, 0
	}
	u := l.used[deviceID]
	return d.MemoryBytes - min(u.memoryBytes, d.MemoryBytes), max(device.ComputeWhole-u.computeMilli, 0)
}

// Break keeps a Device from new Leases; those that hold Slices of it keep them.
func (l *Ledger) Break(deviceID, why string) { l.broken[deviceID] = why }

// Grant makes a Lease under a new id and token, taking every Slice of the request or none. A Slice that names no device
// goes to the first one that fits; several go to as many devices of one driver, for a worker loads no more. Errors wrap
// ErrInvalid, ErrExists or ErrNoCapacity.
func (l *Ledger) Grant(now time.Time, id, token string, r Request) (Lease, error) {
	if err := r.Validate(); err != nil {
		return Lease{}, err
	}
	if id == "" || token == "" {
		return Lease{}, fmt.Errorf("%w: a lease needs an id and a token", ErrInvalid)
	}
	if _, taken := l.entries[id]; taken {
		return Lease{}, fmt.Errorf("%w: %s", ErrExists, id)
	}
	if err := l.checkTenant(r); err != nil {
		return Lease{}, err
	}
	r.Slices = slices.Clone(r.Slices)
	for i := range r.Slices {
		if s := &r.Slices[i]; s.Keeper == "" {
			s.Keeper = device.KeeperSoftware
		}
	}
	granted, ok := l.match(r)
	if !ok {
		return Lease{}, l.explain(r)
	}
	for _, s := range granted {
		u := l.used[s.DeviceID]
		l.used[s.DeviceID] = usage{u.memoryBytes + s.MemoryBytes, u.computeMilli + s.ComputeMilli}
	}
	e := &entry{lease: Lease{
		ID: id, Tenant: r.Tenant, Holder: r.Holder, Slices: granted, Token: token,
		GrantedAt: now, ExpiresAt: now.Add(r.Duration),
	}}
	l.entries[id] = e
	return e.lease.clone(), nil
}

// Adopt enters a Lease that an earlier Ledger granted, at the time now. It lives for duration from now on or until its
// own expiry, whichever is later: while nobody could renew it, its time did not count. What was promised stays promised,
// also where the pool has become too small for it. Errors wrap ErrInvalid or ErrExists.
func (l *Ledger) Adopt(now time.Time, granted Lease, duration time.Duration) (Lease, error) {
	r := Request{Tenant: granted.Tenant, Holder: granted.Holder, Slices: granted.Slices, Duration: duration}
	if err := r.Validate(); err != nil {
		return Lease{}, err
	}
	if granted.ID == "" || granted.Token == "" {
		return Lease{}, fmt.Errorf("%w: a lease needs an id and a token", ErrInvalid)
	}
	if _, taken := l.entries[granted.ID]; taken {
		return Lease{}, fmt.Errorf("%w: %s", ErrExists, granted.ID)
	}
	for _, s := range granted.Slices {
		u := l.used[s.DeviceID]
		l.used[s.DeviceID] = usage{u.memoryBytes + s.MemoryBytes, u.computeMilli + s.ComputeMilli}
	}
	if until := now.Add(duration); until.After(granted.ExpiresAt) {
		granted.ExpiresAt = until
	}
	e := &entry{lease: granted.clone()}
	l.entries[granted.ID] = e
	return e.lease.clone(), nil
}

// Renew moves a Lease's expiry to now + duration. A Lease past its expiry cannot be renewed, even if Expire has not
// seen it yet. Errors wrap ErrNotFound or ErrInvalid.
func (l *Ledger) Renew(now time.Time, id string, duration time.Duration) (Lease, error) {
	if err := validateDuration(duration); err != nil {
		return Lease{}, err
	}
	e, ok := l.entries[id]
	if !ok || e.ended || !now.Before(e.lease.ExpiresAt) {
		return Lease{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	e.lease.ExpiresAt = now.Add(duration)
	return e.lease.clone(), nil
}

// End takes a Lease from its holder; its Slices stay counted until Free. The error wraps ErrNotFound.
func (l *Ledger) End(id string) (Lease, error) {
	e, ok := l.entries[id]
	if !ok || e.ended {
		return Lease{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	e.ended = true
	return e.lease.clone(), nil
}

// Expire ends every Lease whose time has come, and returns them ordered by expiry, then id.
func (l *Ledger) Expire(now time.Time) []Lease {
	var expired []Lease
	for _, e := range l.entries {
		if !e.ended && !now.Before(e.lease.ExpiresAt) {
			e.ended = true
			expired = append(expired, e.lease.clone())
		}
	}
	slices.SortFunc(expired, func(a, b Lease) int {
		if c := a.ExpiresAt.Compare(b.ExpiresAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return expired
}

// Free returns an ended Lease's Slices to the pool and forgets it. The error wraps ErrNotFound.
func (l *Ledger) Free(id string) error {
	e, ok := l.entries[id]
	if !ok || !e.ended {
		return fmt.Errorf("%w: %s (to free a lease, end it first)", ErrNotFound, id)
	}
	for _, s := range e.lease.Slices {
		u := l.used[s.DeviceID]
		l.used[s.DeviceID] = usage{u.memoryBytes - s.MemoryBytes, u.computeMilli - s.ComputeMilli}
	}
	delete(l.entries, id)
	return nil
}

// NextExpiry is the earliest expiry of the Leases that have not ended.
func (l *Ledger) NextExpiry() (at time.Time, ok bool) {
	for _, e := range l.entries {
		if !e.ended && (!ok || e.lease.ExpiresAt.Before(at)) {
			at, ok = e.lease.ExpiresAt, true
		}
	}
	return at, ok
}

// Leases lists what is granted and not ended, ordered by id.
func (l *Ledger) Leases() []Lease {
	var list []Lease
	for _, e := range l.entries {
		if !e.ended {
			list = append(list, e.lease.clone())
		}
	}
	slices.SortFunc(list, func(a, b Lease) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// ByToken finds the Lease that a token opens at a time. Every Lease is compared, in constant time. The error wraps
// ErrNotFound.
func (l *Ledger) ByToken(now time.Time, token string) (Lease, error) {
	var found *entry
	for _, e := range l.entries {
		if e.lease.TokenIs(token) && !e.ended && now.Before(e.lease.ExpiresAt) {
			found = e
		}
	}
	if found == nil {
		return Lease{}, fmt.Errorf("%w: no lease has this token", ErrNotFound)
	}
	return found.lease.clone(), nil
}

func (l Lease) clone() Lease {
	l.Slices = slices.Clone(l.Slices)
	return l
}
