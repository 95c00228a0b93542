package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"sluice/store"
)

// Add implements store.Counters.
func (s *Store) Add(ctx context.Context, tenant string, deltas map[string]int64) error {
	if err := errors.Join(ctx.Err(), store.CheckDeltas(tenant, deltas)); err != nil {
		return err
	}
	return translate(s.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.Bucket([]byte(countersBucket)).CreateBucketIfNotExists([]byte(tenant))
		if err != nil {
			return err
		}
		for name, delta := range deltas {
			before := decodeCount(bucket.Get([]byte(name)))
			after := before + delta
			if (after > before) != (delta > 0) && delta != 0 {
				return fmt.Errorf("%w: counter %q: %d and %d are over the limit of 64 bits", store.ErrInvalid, name, before, delta)
			}
			if err := bucket.Put([]byte(name), binary.BigEndian.AppendUint64(nil, uint64(after))); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Totals implements store.Counters.
func (s *Store) Totals(ctx context.Context, tenant string) (map[string]int64, error) {
	if err := errors.Join(ctx.Err(), store.CheckName("tenant", tenant)); err != nil {
		return nil, err
	}
	totals := make(map[string]int64)
	err := s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(countersBucket)).Bucket([]byte(tenant))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(name, value []byte) error {
			totals[string(name)] = decodeCount(value)
			return nil
		})
	})
	return totals, translate(err)
}

func decodeCount(value []byte) int64 {
	if value == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(value))
}
