package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Components end in the order of the list, each after the one before it is gone. What they run is handed over before that,
// but not when all is to end.
func TestComponentsEndInOrder(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  []string
	}{
		{errEndAll, []string{"first", "second", "third"}},
		{errHandOver, []string{"handed over", "first", "second", "third"}},
	} {
		if ended := endComponents(t, c.cause); !slices.Equal(ended, c.want) {
			t.Errorf("%v: ended in the order %v", c.cause, ended)
		}
	}
}

func endComponents(t *testing.T, cause error) []string {
	ctx, cancel := context.WithCancelCause(t.Context())
	var mutex sync.Mutex
	var ended []string
	var started sync.WaitGroup
	started.Add(3)
	note := func(name string) {
		mutex.Lock()
		defer mutex.Unlock()
		ended = append(ended, name)
	}
	make := func(name string) component {
		return component{name, func(ctx context.Context) error {
			started.Done()
			<-ctx.Done()
			note(name)
			return nil
		}}
	}
	go func() {
		started.Wait()
		cancel(cause)
	}()
	handOver := func() { note("handed over") }
	if err := runComponents(ctx, slog.New(slog.DiscardHandler), handOver, []component{make("first"), make("second"), make("third")}); err != nil {
		t.Fatal(err)
	}
	return ended
}

// A component that fails, or returns without being told to, ends the others and is named.
func TestComponentThatEndsIsNamed(t *testing.T) {
	waiting := component{"waiting", func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}}
	for _, failure := range []error{errors.New("broken"), nil} {
		failing := component{"failing", func(context.Context) error { return failure }}
		handedOver := false
		err := runComponents(t.Context(), slog.New(slog.DiscardHandler), func() { handedOver = true }, []component{waiting, failing})
		if !handedOver {
			t.Error("a daemon that fails does not hand over")
		}
		want := failure
		if want == nil {
			want = errEnded
		}
		if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "failing:") {
			t.Errorf("got %v, want failing: %v", err, want)
		}
	}
}
