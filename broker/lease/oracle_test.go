package lease

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sluice/broker/device"
)

// oracle is the ledger's meaning in the plainest words: a list of what was granted, summed up anew for each question.
type oracle struct {
	devices []device.Device
	granted []*oracleLease
}

type oracleLease struct {
	Lease
	ended bool
}

func (o *oracle) left(deviceID string) (memoryBytes uint64, computeMilli int) {
	for _, d := range o.devices {
		if d.ID == deviceID {
			memoryBytes, computeMilli = d.MemoryBytes, device.ComputeWhole
		}
	}
	for _, l := range o.granted {
		for _, s := range l.Slices {
			if s.DeviceID == deviceID {
				memoryBytes -= s.MemoryBytes
				computeMilli -= s.ComputeMilli
			}
		}
	}
	return memoryBytes, computeMilli
}

func (o *oracle) find(id string) *oracleLease {
	for _, l := range o.granted {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// possible tries every way to give the slices from the n-th on devices that are not taken.
func (o *oracle) possible(r Request, n int, taken []device.Device) bool {
	if n == len(r.Slices) {
		return true
	}
	s := r.Slices[n]
	for _, d := range o.devices {
		memoryBytes, computeMilli := o.left(d.ID)
		switch {
		case s.DeviceID != "" && s.DeviceID != d.ID, s.MemoryBytes > memoryBytes, s.ComputeMilli > computeMilli:
		case slices.ContainsFunc(taken, func(t device.Device) bool { return t.ID == d.ID || t.PlatformIndex != d.PlatformIndex }):
		case o.possible(r, n+1, append(slices.Clone(taken), d)):
			return true
		}
	}
	return false
}

// enter notes a lease that was granted.
func (o *oracle) enter(t *testing.T, now time.Time, granted Lease, r Request) {
	t.Helper()
	for i, s := range granted.Slices {
		r.Slices[i].DeviceID = s.DeviceID
		if s.MemoryBytes != r.Slices[i].MemoryBytes || s.ComputeMilli != r.Slices[i].ComputeMilli {
			t.Fatalf("slice %d of lease %s is %+v, asked was %+v", i, granted.ID, s, r.Slices[i])
		}
	}
	if len(granted.Slices) != len(r.Slices) || !o.possible(r, 0, nil) {
		t.Fatalf("lease %s has the slices %+v", granted.ID, granted.Slices)
	}
	o.granted = append(o.granted, &oracleLease{Lease: Lease{ID: granted.ID, Token: "t" + granted.ID, Slices: granted.Slices, ExpiresAt: now.Add(r.Duration)}})
}

// TestLedgerAgreesWithOracle makes random calls and compares every answer and all that is left.
func TestLedgerAgreesWithOracle(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { compareWithOracle(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func compareWithOracle(t *testing.T, random *rand.Rand) {
	o := &oracle{}
	for i := range 1 + random.IntN(5) {
		o.devices = append(o.devices, device.Device{
			ID: fmt.Sprint("d", i), API: device.APIOpenCL, MemoryBytes: 1 + random.Uint64N(100), PlatformIndex: random.IntN(2),
		})
	}
	l, err := NewLedger(o.devices)
	if err != nil {
		t.Fatal(err)
	}
	now := epoch
	for step := range 200 {
		id := fmt.Sprint(random.IntN(12))
		known := o.find(id)
		switch random.IntN(6) {
		case 0, 1:
			if known != nil {
				continue
			}
			r := Request{Tenant: "t", Holder: "h", Duration: time.Second * time.Duration(1+random.IntN(20))}
			for range 1 + random.IntN(3) {
				s := device.Slice{MemoryBytes: 1 + random.Uint64N(40), ComputeMilli: random.IntN(400)}
				if random.IntN(3) == 0 {
					s.DeviceID = fmt.Sprint("d", random.IntN(5))
				}
				r.Slices = append(r.Slices, s)
			}
			granted, err := l.Grant(now, id, "t"+id, r)
			if want := o.possible(r, 0, nil); (err == nil) != want || err != nil && !errors.Is(err, ErrNoCapacity) && !errors.Is(err, ErrInvalid) {
				t.Fatalf("step %d: grant %s: %v, oracle says %v", step, id, err, want)
			}
			if err == nil {
				o.enter(t, now, granted, r)
			}
		case 2:
			_, err := l.Renew(now, id, 5*time.Second)
			living := known != nil && !known.ended && known.ExpiresAt.After(now)
			if (err == nil) != living {
				t.Fatalf("step %d: renew %s: %v, oracle says %v", step, id, err, living)
			}
			if living {
				known.ExpiresAt = now.Add(5 * time.Second)
			}
		case 3:
			_, err := l.End(id)
			if want := known != nil && !known.ended; (err == nil) != want {
				t.Fatalf("step %d: end %s: %v, oracle says %v", step, id, err, want)
			}
			if known != nil {
				known.ended = true
			}
		case 4:
			if want := known != nil && known.ended; (l.Free(id) == nil) != want {
				t.Fatalf("step %d: free %s, oracle says %v", step, id, want)
			} else if want {
				o.granted = slices.DeleteFunc(o.granted, func(g *oracleLease) bool { return g == known })
			}
		case 5:
			now = now.Add(time.Second * time.Duration(random.IntN(4)))
			expired := l.Expire(now)
			for _, g := range o.granted {
				due := !g.ended && !g.ExpiresAt.After(now)
				told := slices.ContainsFunc(expired, func(e Lease) bool { return e.ID == g.ID })
				if due != told {
					t.Fatalf("step %d: expiry of %s: %v, oracle says %v", step, g.ID, told, due)
				}
				g.ended = g.ended || due
			}
		}
		compareState(t, step, now, l, o)
	}
}

func compareState(t *testing.T, step int, now time.Time, l *Ledger, o *oracle) {
	t.Helper()
	for _, d := range o.devices {
		memoryBytes, computeMilli := l.Available(d.ID)
		wantMemory, wantCompute := o.left(d.ID)
		if memoryBytes != wantMemory || computeMilli != wantCompute {
			t.Fatalf("step %d: %s has %d bytes and %d thousandths left, oracle says %d and %d", step, d.ID, memoryBytes, computeMilli, wantMemory, wantCompute)
		}
	}
	living := 0
	for _, g := range o.granted {
		if !g.ended {
			living++
		}
		_, err := l.ByToken(now, g.Token)
		if want := !g.ended && g.ExpiresAt.After(now); (err == nil) != want {
			t.Fatalf("step %d: token of %s: %v, oracle says %v", step, g.ID, err, want)
		}
	}
	if got := len(l.Leases()); got != living {
		t.Fatalf("step %d: %d leases, oracle says %d", step, got, living)
	}
}
