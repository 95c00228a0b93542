package runner

import (
	"cmp"
	"slices"
	"sync"

	"sluice/batcher"
)

// shareUnreserved is what counts for a function that has reserved nothing of its device, in thousandths.
const shareUnreserved = 10

// device is a device that lanes share: their Batches take turns, as far as they can wait for them. Its lock is taken while a
// lane's is held, never the other way round; those of several in the order of their names.
type device struct {
	name   string
	mu     sync.Mutex
	turns  *batcher.Turns[string]
	guests map[string]*guest // by Key
}

// guest is a lane with endpoints on the device.
type guest struct {
	lane             *lane
	endpoints, share int
}

// device finds a device by its name.
func (r *Runner) device(name string) *device {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[name]
	if d == nil {
		d = &device{name: name, turns: batcher.NewTurns[string](), guests: make(map[string]*guest)}
		r.devices[name] = d
	}
	return d
}

func (d *device) join(l *lane, share int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[l.name]
	if g == nil {
		g = &guest{lane: l}
		d.guests[l.name] = g
	}
	g.endpoints++
	g.share += share
	d.turns.Join(l.name, float64(max(g.share, shareUnreserved)))
}

func (d *device) leave(l *lane, share int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[l.name]
	g.endpoints--
	g.share -= share
	if g.endpoints > 0 {
		d.turns.Join(l.name, float64(max(g.share, shareUnreserved)))
		return
	}
	delete(d.guests, l.name)
	d.turns.Leave(l.name)
}

// end says that a Batch is over; it returns how long it would have taken alone, and whether another lane waits.
func (d *device) end(l *lane, b batcher.Batch, now int64) (alone int64, others bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.turns.End(l.name, b.ID, now), len(d.turns.Waiting()) > 0
}

// waiting lists the lanes that wait, in the order of their turns.
func (d *device) waiting() []*lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lanes []*lane
	for _, name := range d.turns.Waiting() {
		lanes = append(lanes, d.guests[name].lane)
	}
	return lanes
}

// join has the lane share the endpoint's devices.
func (e *endpoint) join(l *lane) {
	for _, name := range e.Devices {
		d := l.runner.device(name)
		d.join(l, e.Share)
		e.devices = append(e.devices, d)
	}
}

func (e *endpoint) leave(l *lane) {
	for _, d := range e.devices {
		d.leave(l, e.Share)
	}
}

// share is what holds for all of the endpoint's devices, which are locked.
func (e *endpoint) share(l *lane, now int64) (all batcher.Share) {
	for _, d := range e.devices {
		one := d.turns.Share(l.name, now)
		all.Until, all.Gap = max(all.Until, one.Until), max(all.Gap, one.Gap)
		if all.Turn == 0 || one.Turn > 0 && one.Turn < all.Turn {
			all.Turn = one.Turn
		}
	}
	return all
}

// slots counts the free slots, and says what others do with the device of the one that is free of them first.
func (l *lane) slots(now int64) (free int, shared batcher.Share) {
	if l.deferring {
		return 0, batcher.Share{}
	}
	for _, e := range l.endpoints {
		if e.free() == 0 {
			continue
		}
		if one := e.share(l, now); free == 0 || one.Until < shared.Until {
			shared = one
		}
		free += e.free()
	}
	return free, shared
}

// lockDevices keeps the other lanes of the lane's devices from deciding at the same time.
func (l *lane) lockDevices() (unlock func()) {
	if len(l.endpoints) == 0 {
		return func() {}
	}
	devices := l.endpoints[0].devices
	for _, e := range l.endpoints[1:] {
		devices = append(slices.Clip(devices), e.devices...)
	}
	slices.SortFunc(devices, func(a, b *device) int { return cmp.Compare(a.name, b.name) })
	devices = slices.Compact(devices)
	for _, d := range devices {
		d.mu.Lock()
	}
	return func() {
		for _, d := range devices {
			d.mu.Unlock()
		}
	}
}

// ask tells the lane's devices, which are locked, whether it waits for its turn.
func (l *lane) ask(now int64, waits bool, patience int64) {
	for _, e := range l.endpoints {
		for _, d := range e.devices {
			d.turns.Ask(l.name, now, waits, patience)
		}
	}
}

// leaveDevices says that the Batch has left its devices.
func (b *batch) leaveDevices(l *lane, now int64) {
	for _, d := range b.endpoint.devices {
		alone, others := d.end(l, b.Batch, now)
		b.contended = b.contended || others
		if alone > 0 {
			b.alone = min(b.alone, alone)
		}
	}
}

// nextTurns lets those run who wait for a device that one of the lane's Batches has left, and the lane itself when it is its
// turn.
func (l *lane) nextTurns(e *endpoint) {
	for _, d := range e.devices {
		for _, next := range d.waiting() {
			next.update(nil, func() { next.deferring = next.deferring && next != l })
		}
	}
	l.update(nil, func() { l.deferring = false })
}
