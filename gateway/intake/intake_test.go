package intake

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := New()
		go func() {
			if err := i.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		stops := make(chan string, 10)
		enter := func(name string, begin func(func()) *Exchange) *Exchange {
			return begin(func() { stops <- name })
		}
		enter("slow", i.Begin)
		enter("stream", i.BeginPatient)
		over := enter("over", i.Begin)
		time.Sleep(Patience / 2)
		enter("later", i.Begin)
		over.End()
		over.End()
		time.Sleep(Patience/2 + time.Second)
		synctest.Wait()
		if one := <-stops; one != "slow" || len(stops) != 0 {
			t.Errorf("%q was given up, and %d more; want the slow one", one, len(stops))
		}
		time.Sleep(Patience)
		synctest.Wait()
		if one := <-stops; one != "later" || len(stops) != 0 || i.exchanges.Len() != 1 {
			t.Errorf("%q was given up, and %d more, %d are left; want the later one too, and the stream left", one, len(stops), i.exchanges.Len())
		}
	})
}

// When memory is short, the oldest are given up first, and not all at once.
func TestOldestGoFirst(t *testing.T) {
	i := New()
	var stopped []int
	for n := range 2 * shareGivenUp {
		i.BeginPatient(func() { stopped = append(stopped, n) })
	}
	i.relieve(time.Now().Add(time.Second))
	if len(stopped) != 3 || stopped[0] != 0 || stopped[1] != 1 || stopped[2] != 2 {
		t.Errorf("%v were given up, want 0, 1, 2", stopped)
	}
	i.relieve(time.Now().Add(-time.Hour))
	if len(stopped) != 3 {
		t.Errorf("%v were given up, though they had just begun", stopped)
	}
}

// A stream that lies idle is older than most, and not given up for others.
func TestStreamsGoLast(t *testing.T) {
	i := New()
	var stopped []string
	i.BeginPatient(func() { stopped = append(stopped, "stream") })
	i.Begin(func() { stopped = append(stopped, "request") })
	for _, want := range [][]string{{"request"}, {"request", "stream"}} {
		if i.relieve(time.Now().Add(time.Second)); !slices.Equal(stopped, want) {
			t.Errorf("%q were given up, want %q", stopped, want)
		}
	}
}

func TestEndInAnyOrder(t *testing.T) {
	i := New()
	var all []*Exchange
	for range 5 {
		all = append(all, i.Begin(func() {}))
	}
	for _, at := range []int{2, 0, 4, 3, 1} {
		all[at].End()
	}
	if i.exchanges.Len() != 0 {
		t.Errorf("%d are left", i.exchanges.Len())
	}
}

// Who waits for room gets it once the oldest are given up.
func TestHoldWaitsForTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := New()
		go func() {
			if err := i.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		given := make(chan struct{})
		oldest := i.Begin(func() { close(given) })
		if err := oldest.Hold(t.Context(), MaxHeldBytes-1); err != nil {
			t.Fatal(err)
		}
		next := i.Begin(func() { t.Error("the younger one is given up") })
		go func() {
			<-given
			oldest.End()
		}()
		if err := next.Hold(t.Context(), 2); err != nil {
			t.Error(err)
		}
		next.End()
		if !i.room.TryAcquire(MaxHeldBytes) {
			t.Error("not all that was held is free")
		}
	})
}
