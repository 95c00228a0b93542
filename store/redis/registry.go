package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

const (
	// pageRecords and pageBytes bound what one script reads, for the server does nothing else meanwhile.
	pageRecords = 256
	pageBytes   = 4 << 20
	// deletionsKept is how many deletions of a kind are remembered for watchers that were cut off.
	deletionsKept = 1000
)

var (
	//go:embed scripts/write.lua
	writeSource string
	//go:embed scripts/list.lua
	listSource string

	writeScript = redis.NewScript(writeSource)
	listScript  = redis.NewScript(listSource)
)

// errReply is an answer that the scripts do not give; another program has written to the store's keys.
var errReply = errors.New("the store's keys hold what Sluice did not write")

// Get implements store.Registry.
func (s *Store) Get(ctx context.Context, kind store.Kind, name string) (store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return store.Record{}, err
	}
	var text string
	err := s.try(ctx, func(ctx context.Context) (err error) {
		text, err = s.client.HGet(ctx, s.key("records:"+string(kind)), name).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return store.Record{}, fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
	}
	if err != nil {
		return store.Record{}, err
	}
	return decode(kind, name, text)
}

// List implements store.Registry. Records that are written meanwhile may be in the list or not.
func (s *Store) List(ctx context.Context, kind store.Kind, prefix string) ([]store.Record, error) {
	if err := errors.Join(ctx.Err(), store.CheckKind(kind)); err != nil {
		return nil, err
	}
	var records []store.Record
	from, to := "["+prefix, after(prefix)
	for {
		var page []any
		err := s.try(ctx, func(ctx context.Context) (err error) {
			page, err = listScript.Run(ctx, s.client, s.keys("names:"+string(kind), "records:"+string(kind)), from, to, pageRecords, pageBytes).Slice()
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(page)%2 != 1 {
			return nil, errReply
		}
		for i := 1; i < len(page); i += 2 {
			name, _ := page[i].(string)
			text, _ := page[i+1].(string)
			record, err := decode(kind, name, text)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
			from = "(" + name
		}
		if more, _ := page[0].(int64); more == 0 {
			return records, nil
		}
	}
}

// after is the least bound, as ZRANGEBYLEX has them, over every text that starts with prefix.
func after(prefix string) string {
	last := len(prefix) - 1
	for last >= 0 && prefix[last] == 0xff {
		last--
	}
	if last < 0 {
		return "+"
	}
	return "(" + prefix[:last] + string([]byte{prefix[last] + 1})
}

// Put implements store.Registry.
func (s *Store) Put(ctx context.Context, kind store.Kind, name string, value []byte, revision uint64) (uint64, error) {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name), store.CheckValue(value)); err != nil {
		return 0, err
	}
	written, present, err := s.write(ctx, kind, name, value, revision)
	if err == nil && !written {
		err = conflict(kind, name, present, revision)
	}
	if err != nil {
		return 0, err
	}
	return present, nil
}

// Delete implements store.Registry.
func (s *Store) Delete(ctx context.Context, kind store.Kind, name string, revision uint64) error {
	if err := errors.Join(ctx.Err(), store.CheckRecord(kind, name)); err != nil {
		return err
	}
	written, present, err := s.write(ctx, kind, name, nil, revision)
	switch {
	case err != nil || written:
		return err
	case present == 0:
		return fmt.Errorf("%s %q: %w", kind, name, store.ErrNotFound)
	}
	return conflict(kind, name, present, revision)
}

// write puts a value, nil to delete, in place of a revision. It returns the record's revision: the new one if it was
// written, or the one that stood against it.
func (s *Store) write(ctx context.Context, kind store.Kind, name string, value []byte, expected uint64) (written bool, revision uint64, err error) {
	of := ":" + string(kind)
	keys := s.keys("revision", "records"+of, "names"+of, "revisions"+of, "deleted"+of, "trimmed"+of, "bell")
	answer, err := s.run(ctx, writeScript, keys, bellLength, string(kind), name, strconv.FormatUint(expected, 10), value, deletionsKept)
	if err != nil {
		return false, 0, err
	}
	parts, _ := answer.([]any)
	if len(parts) != 2 {
		return false, 0, errReply
	}
	revision, err = number(parts[1])
	return parts[0] == int64(1), revision, err
}

func conflict(kind store.Kind, name string, now, expected uint64) error {
	return fmt.Errorf("%s %q: %w: revision is %d (0: none), not %d", kind, name, store.ErrConflict, now, expected)
}

func decode(kind store.Kind, name, text string) (store.Record, error) {
	revision, value, found := strings.Cut(text, " ")
	at, err := strconv.ParseUint(revision, 10, 64)
	if !found || err != nil {
		return store.Record{}, fmt.Errorf("%s %q: %w", kind, name, errReply)
	}
	return store.Record{Kind: kind, Name: name, Revision: at, Value: []byte(value)}, nil
}

func number(reply any) (uint64, error) {
	text, _ := reply.(string)
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errReply
	}
	return value, nil
}
