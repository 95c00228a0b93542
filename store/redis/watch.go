package redis

import (
	"context"
	_ "embed" // the script
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

var (
	//go:embed scripts/since.lua
	sinceSource string
	sinceScript = redis.NewScript(sinceSource)
)

// watch follows one kind for one reader, by asking for what came after the last revision that it has seen. The server
// keeps the last change of every record, so nothing is missed however long a connection is lost. What it may have
// forgotten is deletions, after a thousand more, and everything, if other data was put in its place: then the watch ends.
type watch struct {
	store    *Store
	kind     store.Kind
	history  string
	position uint64 // the revision up to which everything was read
	began    uint64 // the newest revision when the watch began: deletions up to it are none of its reader's
}

// errForgotten ends a watch whose reader has to start over.
var errForgotten = errors.New("the server has forgotten what came after the watch's position")

// page is an answer to "what came after".
type page struct {
	history           string
	revision, trimmed uint64
	more              bool
	changes           []store.Change
}

// Watch implements store.Registry.
func (s *Store) Watch(ctx context.Context, kind store.Kind) (<-chan store.Change, error) {
	if err := errors.Join(ctx.Err(), store.CheckKind(kind)); err != nil {
		return nil, err
	}
	first, err := s.since(ctx, kind, 0)
	if err != nil {
		return nil, err
	}
	w := &watch{store: s, kind: kind, history: first.history, began: first.revision}
	rung, unsubscribe := s.bells.subscribe(recordBell(string(kind)))
	changes := make(chan store.Change)
	started := s.start(func() {
		ctx, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(s.lifetime, cancel)
		defer func() {
			stop()
			cancel()
			unsubscribe()
			close(changes)
		}()
		w.run(ctx, rung, changes)
	})
	if !started {
		unsubscribe()
		return nil, store.ErrClosed
	}
	return changes, nil
}

// run sends changes until ctx ends, or it cannot tell what changed.
func (w *watch) run(ctx context.Context, rung <-chan struct{}, changes chan<- store.Change) {
	for {
		more, err := w.step(ctx, changes)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errForgotten):
			w.store.log.Warn("a watch of the store ends", "kind", w.kind, "error", err)
			return
		case err != nil:
			w.store.log.Warn("a watch of the store waits", "kind", w.kind, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(backoffMax):
			}
		case !more:
			select {
			case <-ctx.Done():
			case <-rung:
			}
		}
	}
}

// step sends one page of what came after the watch's position, and reports whether there may be more.
func (w *watch) step(ctx context.Context, changes chan<- store.Change) (more bool, err error) {
	next, err := w.store.since(ctx, w.kind, w.position)
	if err != nil {
		return false, err
	}
	if next.history != w.history || next.revision < w.position || next.trimmed > max(w.position, w.began) {
		return false, errForgotten
	}
	for _, change := range next.changes {
		if !change.Deleted || change.Revision > w.began {
			select {
			case <-ctx.Done():
				return false, ctx.Err()
			case changes <- change:
			}
		}
		w.position = change.Revision
	}
	return next.more, nil
}

// since reads a page of the last changes of the kind's records after a revision.
func (s *Store) since(ctx context.Context, kind store.Kind, revision uint64) (page, error) {
	var reply []any
	of := ":" + string(kind)
	keys := s.keys("history", "revision", "trimmed"+of, "revisions"+of, "records"+of)
	err := s.try(ctx, func(ctx context.Context) (err error) {
		reply, err = sinceScript.Run(ctx, s.client, keys, revision, pageRecords, pageBytes).Slice()
		return err
	})
	if err != nil {
		return page{}, err
	}
	const head, each = 4, 3
	if len(reply) < head || (len(reply)-head)%each != 0 {
		return page{}, errReply
	}
	newest, err1 := number(reply[1])
	trimmed, err2 := number(reply[2])
	history, _ := reply[0].(string)
	answer := page{history: history, revision: newest, trimmed: trimmed, more: reply[3] == int64(1)}
	err = errors.Join(err1, err2)
	for i := head; i < len(reply) && err == nil; i += each {
		change := store.Change{Record: store.Record{Kind: kind}}
		change.Name, _ = reply[i].(string)
		if text, present := reply[i+2].(string); present {
			change.Record, err = decode(kind, change.Name, text)
		} else {
			change.Deleted = true
			change.Revision, err = number(reply[i+1])
		}
		answer.changes = append(answer.changes, change)
	}
	return answer, err
}
