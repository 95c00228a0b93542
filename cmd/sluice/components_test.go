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

// Components end in the order of the list, each after the one before it is gone.
func TestComponentsEndInOrder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var mutex sync.Mutex
	var ended []string
	var started sync.WaitGroup
	started.Add(3)
	make := func(name string) component {
		return component{name, func(ctx context.Context) error {
			started.Done()
			<-ctx.Done()
			mutex.Lock()
			defer mutex.Unlock()
			ended = append(ended, name)
			return nil
		}}
	}
	go func() {
		started.Wait()
		cancel()
	}()
	if err := runComponents(ctx, slog.New(slog.DiscardHandler), []component{make("first"), make("second"), make("third")}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ended, []string{"first", "second", "third"}) {
		t.Errorf("ended in the order %v", ended)
	}
}

// A component that fails, or returns without being told to, ends the others and is named.
func TestComponentThatEndsIsNamed(t *testing.T) {
	waiting := component{"waiting", func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}}
	for _, failure := range []error{errors.New("broken"), nil} {
		failing := component{"failing", func(context.Context) error { return failure }}
		err := runComponents(t.Context(), slog.New(slog.DiscardHandler), []component{waiting, failing})
		want := failure
		if want == nil {
			want = errEnded
		}
		if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "failing:") {
			t.Errorf("got %v, want failing: %v", err, want)
		}
	}
}
