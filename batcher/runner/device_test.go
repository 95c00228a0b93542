package runner

import (
	"sync"
	"testing"
	"time"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

// occasion is when a function had a batch.
type occasion struct {
	function   string
	begun, end time.Time
}

// TestFunctionsOfOneDeviceTakeTurns has two functions whose batches take long: once that is known, one waits for the other's
// end, though its own slot is free.
func TestFunctionsOfOneDeviceTakeTurns(t *testing.T) {
	const took = 150 * time.Millisecond
	route := Route{Policy: "adaptive", MaxSize: 4, StartTimeout: time.Minute}
	r := start(t, route, nil)
	other := Key{Tenant: "default", Function: "other", Version: "1"}
	if err := r.SetRoute(other, route); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var occasions []occasion
	for _, key := range []Key{simple, other} {
		target, _ := functiontest.Start(t, &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
			begun := time.Now()
			time.Sleep(took)
			mu.Lock()
			occasions = append(occasions, occasion{key.Function, begun, time.Now()})
			mu.Unlock()
			return functiontest.Simple(call)
		}})
		err := r.AddEndpoint(key, Endpoint{Instance: key.Function, Target: target, Concurrency: 1, Devices: []string{"d"}, Share: 250})
		if err != nil {
			t.Fatal(err)
		}
	}
	infer := func(key Key) {
		if _, err := r.Infer(t.Context(), key, functiontest.Request(4, 1)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, key := range []Key{simple, other, simple, other} {
		infer(key)
	}
	occasions = nil
	var group sync.WaitGroup
	for _, key := range []Key{simple, other} {
		group.Go(func() {
			for range 4 {
				infer(key)
			}
		})
	}
	group.Wait()
	crowded := 0
	for i, one := range occasions {
		for _, two := range occasions[:i] {
			if one.function != two.function && one.begun.Before(two.end) && two.begun.Before(one.end) {
				crowded++
			}
		}
	}
	// On a busy host one may be so late that the other does not wait for it.
	if len(occasions) != 8 || crowded > 2 {
		t.Errorf("%d of %d batches ran at once, want none", crowded, len(occasions))
	}
}

// TestDeviceForgetsWhoLeaves has functions come and go; one that is alone again waits for nobody.
func TestDeviceForgetsWhoLeaves(t *testing.T) {
	r := start(t, alone, nil)
	target, _ := functiontest.Start(t, &functiontest.Function{})
	for range 3 {
		for _, instance := range []string{"a", "b"} {
			if err := r.AddEndpoint(simple, Endpoint{Instance: instance, Target: target, Concurrency: 1, Devices: []string{"d", "e"}, Share: 5}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Infer(t.Context(), simple, functiontest.Request(4, 1)); err != nil {
			t.Fatal(err)
		}
		for _, instance := range []string{"b", "a"} {
			<-r.RemoveEndpoint(simple, instance)
		}
	}
	for _, name := range []string{"d", "e"} {
		if guests := len(r.device(name).guests); guests != 0 {
			t.Errorf("device %s has %d guests, want none", name, guests)
		}
	}
}
