package lease

import (
	"fmt"
	"slices"
	"strings"

	"sluice/broker/device"
)

// driver is what a worker loads.
type driver struct {
	api           string
	platformIndex int
}

// match finds a Device for each Slice of a request, each another one and all of one driver, the first of the pool where
// there is a choice, and fills in DeviceID. ok is false where there is no such match.
func (l *Ledger) match(r Request) (matched []device.Slice, ok bool) {
	if len(r.Slices) == 1 {
		return l.matchAmong(l.devices, r)
	}
	drivers := make(map[driver][]device.Device)
	for _, d := range l.devices {
		of := driver{d.API, d.PlatformIndex}
		drivers[of] = append(drivers[of], d)
	}
	for _, d := range l.devices {
		of := driver{d.API, d.PlatformIndex}
		if matched, ok = l.matchAmong(drivers[of], r); ok {
			return matched, true
		}
		delete(drivers, of)
	}
	return nil, false
}

// matchAmong is a bipartite matching by augmenting paths: a Slice takes the first Device that is free, or one whose Slice
// can move on to another.
func (l *Ledger) matchAmong(devices []device.Device, r Request) ([]device.Slice, bool) {
	taker := make([]int, len(devices)) // the Slice that has the device, plus one
	var place func(slice int, asked []bool) bool
	place = func(slice int, asked []bool) bool {
		for _, moving := range []bool{false, true} {
			for at, d := range devices {
				if asked[at] || (taker[at] != 0) != moving || l.refusal(d, r.Slices[slice], r.API) != "" {
					continue
				}
				asked[at] = true
				if !moving || place(taker[at]-1, asked) {
					taker[at] = slice + 1
					return true
				}
			}
		}
		return false
	}
	for i := range r.Slices {
		if !place(i, make([]bool, len(devices))) {
			return nil, false
		}
	}
	matched := slices.Clone(r.Slices)
	for at, slice := range taker {
		if slice > 0 {
			matched[slice-1].DeviceID = devices[at].ID
		}
	}
	return matched, true
}

// explain says why there is no match.
func (l *Ledger) explain(r Request) error {
	if len(l.devices) == 0 {
		return fmt.Errorf("%w: the pool has no devices", ErrNoCapacity)
	}
	for i, s := range r.Slices {
		var refusals []string
		fits := false
		for _, d := range l.devices {
			switch why := l.refusal(d, s, r.API); why {
			case "":
				fits = true
			case notNamed:
			default:
				refusals = append(refusals, d.ID+": "+why)
			}
		}
		switch {
		case fits:
		case len(refusals) == 0:
			return fmt.Errorf("slice %d: %w: the pool has no device %q", i, ErrNoCapacity, s.DeviceID)
		default:
			return fmt.Errorf("slice %d: %w: %s", i, ErrNoCapacity, strings.Join(refusals, "; "))
		}
	}
	return fmt.Errorf("%w: no driver has as many devices with room as the request has slices, %d", ErrNoCapacity, len(r.Slices))
}

// notNamed is the refusal of a device by a Slice that names another.
const notNamed = "another is asked for"

// refusal says why a Device cannot give a Slice now; empty when it can.
func (l *Ledger) refusal(d device.Device, s device.Slice, api string) string {
	memoryBytes, computeMilli := l.Available(d.ID)
	why, broken := l.broken[d.ID]
	switch {
	case s.DeviceID != "" && s.DeviceID != d.ID:
		return notNamed
	case broken:
		return why
	case api != "" && api != d.API:
		return fmt.Sprintf("is programmed by %s, not %s", d.API, api)
	case s.Keeper != device.KeeperSoftware:
		return fmt.Sprintf("has no %s slices", s.Keeper)
	case s.MemoryBytes > memoryBytes:
		return fmt.Sprintf("memory: %d bytes asked, %d of %d free", s.MemoryBytes, memoryBytes, d.MemoryBytes)
	case s.ComputeMilli > computeMilli:
		return fmt.Sprintf("compute: %d thousandths asked, %d of %d free", s.ComputeMilli, computeMilli, device.ComputeWhole)
	}
	return ""
}
