package bolt

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"sluice/store"
)

// watcher hands one kind's changes to one reader. Of a record that changes before the reader took its last
// change, only the newest is kept.
type watcher struct {
	kind   store.Kind
	cancel context.CancelFunc
	wake   chan struct{} // holds one token while pending is not empty

	// Guarded by the store's mutex.
	pending map[string]store.Change
	order   []pendingName // by revision; names told again leave their old place behind
}

type pendingName struct {
	name     string
	revision uint64
}

// Watch implements store.Registry.
func (s *Store) Watch(ctx context.Context, kind store.Kind) (<-chan store.Change, error) {
	if err := errors.Join(ctx.Err(), store.CheckKind(kind)); err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	records, err := s.List(ctx, kind, "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{kind: kind, cancel: cancel, wake: make(chan struct{}, 1), pending: make(map[string]store.Change)}
	slices.SortFunc(records, func(a, b store.Record) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, record := range records {
		w.add(store.Change{Record: record})
	}
	s.watchers[w] = struct{}{}
	changes := make(chan store.Change)
	s.running.Go(func() {
		defer close(changes)
		s.serve(ctx, w, changes)
	})
	return changes, nil
}

// serve sends what is pending until ctx ends.
func (s *Store) serve(ctx context.Context, w *watcher, changes chan<- store.Change) {
	defer func() {
		w.cancel()
		s.mutex.Lock()
		delete(s.watchers, w)
		s.mutex.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for {
			s.mutex.Lock()
			change, ok := w.take()
			s.mutex.Unlock()
			if !ok {
				break
			}
			select {
			case <-ctx.Done():
				return
			case changes <- change:
			}
		}
	}
}

// tell gives a change to those who watch its kind. The store's mutex is held.
func (s *Store) tell(change store.Change) {
	for w := range s.watchers {
		if w.kind == change.Kind {
			w.add(change)
		}
	}
}

func (w *watcher) add(change store.Change) {
	w.pending[change.Name] = change
	w.order = append(w.order, pendingName{change.Name, change.Revision})
	if len(w.order) > 2*len(w.pending)+16 {
		w.order = slices.DeleteFunc(w.order, func(p pendingName) bool { return w.pending[p.name].Revision != p.revision })
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take removes the oldest pending change.
func (w *watcher) take() (store.Change, bool) {
	for len(w.order) > 0 {
		first := w.order[0]
		w.order = w.order[1:]
		if change, ok := w.pending[first.name]; ok && change.Revision == first.revision {
			delete(w.pending, first.name)
			return change, true
		}
	}
	w.order = nil
	return store.Change{}, false
}
