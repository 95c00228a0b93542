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

// grant places slice after slice on the first device with room, giving all up if one finds none.
func (o *oracle) grant(now time.Time, id string, r Request) bool {
	made := &oracleLease{Lease: Lease{ID: id, Token: "t" + id, ExpiresAt: now.Add(r.Duration)}}
	o.granted = append(o.granted, made)
	for _, s := range r.Slices {
		placed := false
		for _, d := range o.devices {
			memoryBytes, computeMilli := o.left(d.ID)
			if (s.DeviceID == "" || s.DeviceID == d.ID) && s.MemoryBytes <= memoryBytes && s.ComputeMilli <= computeMilli {
				s.DeviceID, placed = d.ID, true
				made.Slices = append(made.Slices, s)
				break
			}
		}
		if !placed {
			o.granted = o.granted[:len(o.granted)-1]
			return false
		}
	}
	return true
}

// TestLedgerAgreesWithOracle makes random calls and compares every answer and all that is left.
func TestLedgerAgreesWithOracle(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { compareWithOracle(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func compareWithOracle(t *testing.T, random *rand.Rand) {
	o := &oracle{}
	for i := range 1 + random.IntN(3) {
		o.devices = append(o.devices, device.Device{ID: fmt.Sprint("d", i), API: device.APIOpenCL, MemoryBytes: 1 + random.Uint64N(100)})
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
				if random.IntN(2) == 0 {
					s.DeviceID = fmt.Sprint("d", random.IntN(3))
				}
				r.Slices = append(r.Slices, s)
			}
			_, err := l.Grant(now, id, "t"+id, r)
			if want := o.grant(now, id, r); (err == nil) != want || (err != nil && !errors.Is(err, ErrNoCapacity)) {
				t.Fatalf("step %d: grant %s: %v, oracle says %v", step, id, err, want)
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
