package storetest

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"

	"sluice/store"
)

// RunCounters checks that what the factory makes keeps to store.Counters.
func RunCounters(t *testing.T, factory Factory) {
	tests{
		"AddsUp":              testCountersAdd,
		"AllOrNone":           testCountersAllOrNone,
		"ConcurrentAdders":    testCountersConcurrent,
		"ReopenKeepsCounters": testCountersReopen,
		"LimitsAreChecked":    testCountersLimits,
		"ClosedRefuses":       testCountersClosed,
	}.run(t, factory)
}

func add(t *testing.T, engine store.Counters, deltas map[string]int64) {
	t.Helper()
	if err := engine.Add(t.Context(), "t1", deltas); err != nil {
		t.Fatalf("add %v: %v", deltas, err)
	}
}

func totals(t *testing.T, engine store.Counters, tenant string, wanted map[string]int64) {
	t.Helper()
	if got, err := engine.Totals(t.Context(), tenant); err != nil || !maps.Equal(got, wanted) {
		t.Errorf("totals of %s are %v, %v; want %v", tenant, got, err, wanted)
	}
}

func testCountersAdd(t *testing.T, factory Factory) {
	engine := open(t, factory)
	totals(t, engine, "t1", nil)
	add(t, engine, map[string]int64{"requests": 2, "device_us": 1 << 60})
	add(t, engine, map[string]int64{"requests": 3, "zero": 0})
	add(t, engine, map[string]int64{"device_us": -1, "\xff{}": 1})
	add(t, engine, nil)
	totals(t, engine, "t1", map[string]int64{"requests": 5, "device_us": 1<<60 - 1, "zero": 0, "\xff{}": 1})
	totals(t, engine, "t2", nil)
}

func testCountersAllOrNone(t *testing.T, factory Factory) {
	engine := open(t, factory)
	before := map[string]int64{"high": math.MaxInt64, "low": -math.MaxInt64, "a": 1, "z": 1}
	add(t, engine, before)
	for _, deltas := range []map[string]int64{
		{"a": 1, "high": 1, "new": 1, "z": 1},
		{"a": 1, "low": -2, "new": 1, "z": 1},
	} {
		expect(t, engine.Add(t.Context(), "t1", deltas), store.ErrInvalid, "a sum out of range")
		totals(t, engine, "t1", before)
	}
}

func testCountersConcurrent(t *testing.T, factory Factory) {
	const adders, each = 4, 20
	engine := open(t, factory)
	var group sync.WaitGroup
	for i := range adders {
		group.Go(func() {
			for range each {
				if err := engine.Add(t.Context(), "t1", map[string]int64{"all": 1, fmt.Sprint(i): 2}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	wanted := map[string]int64{"all": adders * each}
	for i := range adders {
		wanted[fmt.Sprint(i)] = 2 * each
	}
	totals(t, engine, "t1", wanted)
}

func testCountersReopen(t *testing.T, factory Factory) {
	folder := t.TempDir()
	engine := factory(t, folder)
	add(t, engine, map[string]int64{"requests": 2})
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	engine = factory(t, folder)
	defer engine.Close()
	add(t, engine, map[string]int64{"requests": 2})
	totals(t, engine, "t1", map[string]int64{"requests": 4})
}

func testCountersLimits(t *testing.T, factory Factory) {
	engine := open(t, factory)
	many := make(map[string]int64)
	for i := range store.MaxCounterDeltas {
		many[fmt.Sprint(i)] = 1
	}
	if err := engine.Add(t.Context(), "t2", many); err != nil {
		t.Errorf("an addition at the limits: %v", err)
	}
	totals(t, engine, "t2", many)
	many["one more"] = 1
	for tenant, deltas := range map[string]map[string]int64{
		"":    {"a": 1},
		"T 1": {"a": 1},
		"t1":  {"": 1},
		"t2":  {strings.Repeat("n", store.MaxCounterNameBytes+1): 1},
		"t3":  {"a": math.MinInt64},
		"t4":  many,
	} {
		expect(t, engine.Add(t.Context(), tenant, deltas), store.ErrInvalid, fmt.Sprintf("tenant %q, %d deltas", tenant, len(deltas)))
	}
	_, err := engine.Totals(t.Context(), "")
	expect(t, err, store.ErrInvalid, "totals of an empty tenant")
}

func testCountersClosed(t *testing.T, factory Factory) {
	engine := factory(t, t.TempDir())
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, engine.Add(t.Context(), "t1", map[string]int64{"a": 1}), store.ErrClosed, "add")
	_, err := engine.Totals(t.Context(), "t1")
	expect(t, err, store.ErrClosed, "totals")
}
