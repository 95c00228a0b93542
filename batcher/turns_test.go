package batcher

import (
	"math/rand/v2"
	"testing"
)

// TestTurnsShareTheTimeByWeight has users who always want the device, with batches of different lengths.
func TestTurnsShareTheTimeByWeight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	weights := map[string]float64{"a": 500, "b": 250, "c": 10}
	lengths := map[string]int64{"a": 3, "b": 20, "c": 7}
	turns := NewTurns[string]()
	for name, weight := range weights {
		turns.Join(name, weight)
	}
	had := make(map[string]int64)
	now := int64(0)
	for batch := range uint64(20000) {
		for name := range weights {
			turns.Ask(name, now, true, 0)
		}
		next := turns.Waiting()[0]
		length := lengths[next] + random.Int64N(5)
		turns.Begin(next, batch, now, length)
		now += length
		turns.End(next, batch, now)
		had[next] += length
	}
	for name, weight := range weights {
		if part, want := float64(had[name])/float64(now), weight/760; part < want*0.97 || part > want*1.03 {
			t.Errorf("%s had %.3f of the time, its part is %.3f", name, part, want)
		}
	}
}

// TestIdleTimeIsNoCredit has a user come back after a long time: it goes first once, and then in turn.
func TestIdleTimeIsNoCredit(t *testing.T) {
	turns := NewTurns[string]()
	turns.Join("busy", 100)
	turns.Join("back", 100)
	batch, now := uint64(0), int64(0)
	run := func() string {
		next := turns.Waiting()[0]
		batch++
		turns.Begin(next, batch, now, 10)
		now += 10
		turns.End(next, batch, now)
		return next
	}
	turns.Ask("busy", now, true, 0)
	for range 1000 {
		run()
		turns.Ask("busy", now, true, 0)
	}
	var order []string
	for range 6 {
		turns.Ask("busy", now, true, 0)
		turns.Ask("back", now, true, 0)
		order = append(order, run())
	}
	for i, name := range order {
		if want := []string{"back", "busy"}[i%2]; name != want {
			t.Fatalf("turns are %v, want back and busy in turn", order)
		}
	}
}

func TestUntilSaysWhenOthersAreDone(t *testing.T) {
	turns := NewTurns[string]()
	for _, name := range []string{"a", "b", "c"} {
		turns.Join(name, 1)
	}
	turns.Begin("a", 1, 100, 50)
	turns.Begin("b", 1, 110, 80)
	turns.Begin("b", 2, 110, 0) // nobody knows
	for _, c := range []struct {
		name      string
		now, want int64
	}{
		{"a", 120, 190},
		{"b", 120, 150},
		{"c", 120, 190},
		{"b", 160, 166}, // overdue: another eighth
		{"b", 199, 205}, // still
		{"b", 200, 150}, // for as long as it was to take
		{"nobody", 0, 0},
	} {
		if got := turns.Share(c.name, c.now).Until; got != c.want {
			t.Errorf("%s at %d: until %d, want %d", c.name, c.now, got, c.want)
		}
	}
	turns.End("b", 1, 170)
	turns.Leave("a")
	turns.End("a", 1, 180)
	turns.Begin("a", 2, 180, 10)
	if got := turns.Share("c", 180).Until; got > 180 {
		t.Errorf("until %d, and nobody is there", got)
	}
	if turns.Waiting() != nil {
		t.Error("somebody waits")
	}
}

// TestTurnsCountTimeAlone has two at once on the device for a while: each had it by its weight.
func TestTurnsCountTimeAlone(t *testing.T) {
	turns := NewTurns[string]()
	turns.Join("a", 300)
	turns.Join("b", 100)
	turns.Begin("a", 1, 0, 100)
	turns.Begin("b", 1, 40, 100)
	if alone := turns.End("a", 1, 80); alone != 40+30 {
		t.Errorf("a had the device for %d, want 70", alone)
	}
	if alone := turns.End("b", 1, 100); alone != 10+20 {
		t.Errorf("b had the device for %d, want 30", alone)
	}
	if alone := turns.End("b", 1, 110); alone != 0 {
		t.Errorf("a batch that is over had the device for %d", alone)
	}
}

// TestTurnIsShorterForWhoHasUsedMore has one of two with less weight use all the time.
func TestTurnIsShorterForWhoHasUsedMore(t *testing.T) {
	turns := NewTurns[string]()
	turns.Join("heavy", 400)
	turns.Join("light", 100)
	const millisecond = 1_000_000
	turns.Ask("heavy", 0, true, 100*millisecond)
	turns.Ask("light", 0, true, 80*millisecond)
	turns.Begin("light", 1, 0, 10*millisecond)
	turns.End("light", 1, 10*millisecond)
	if got := turns.Share("light", 10*millisecond).Turn; got != 25*millisecond {
		t.Errorf("the light one may hold the device for %d, want a quarter of the other's patience", got)
	}
	if got := turns.Share("heavy", 10*millisecond).Turn; got != 40*millisecond {
		t.Errorf("the heavy one may hold the device for %d, want half of the other's patience", got)
	}
	if got := turns.Share("heavy", 400*millisecond).Turn; got != 0 {
		t.Errorf("the heavy one may hold the device for %d though nobody else wants it", got)
	}
}

// TestAdaptiveWaitsForItsTurn has others on the device: it waits for them, but not when that takes far longer than what it
// would run, and its batches are no longer than its turn.
func TestAdaptiveWaitsForItsTurn(t *testing.T) {
	const patience = 100
	a := newAdaptive(Limits{MaxSize: 8})
	id := uint64(0)
	arrive := func(now int64, count int) {
		for range count {
			id++
			a.Arrive(Request{ID: id, Size: 1, Arrival: now, Deadline: now + patience})
		}
	}
	now := int64(0)
	for size := 1; size <= 8; size++ {
		for range 4 {
			arrive(now, size)
			for _, b := range a.Decide(now, 1, Share{}).Batches {
				now += int64(4 + 2*b.Size)
				a.Complete(Completion{Batch: b.ID, Size: b.Size, Duration: int64(4 + 2*b.Size)})
			}
			now += 500
			a.Decide(now, 1, Share{})
		}
	}
	arrive(now, 8)
	decision := a.Decide(now, 1, Share{Until: now + 30})
	if len(decision.Batches) > 0 || !decision.Yields || decision.WakeAt != now+30 || decision.Patience == 0 {
		t.Fatalf("decided %+v, want to wait until %d", decision, now+30)
	}
	decision = a.Decide(now, 1, Share{Until: now + 90})
	if len(decision.Batches) != 1 || decision.Yields {
		t.Fatalf("decided %+v, want a batch: the others take far too long", decision)
	}
	b := decision.Batches[0]
	now += 20
	a.Complete(Completion{Batch: b.ID, Size: b.Size, Duration: 20})
	arrive(now, 8)
	decision = a.Decide(now, 1, Share{Turn: 13})
	if len(decision.Batches) != 1 || decision.Batches[0].Size > 4 {
		t.Fatalf("decided %+v, want a batch that takes 12", decision)
	}
}
