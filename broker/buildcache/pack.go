package buildcache

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// entryDepth is how many folders below the cache's own tell one program's files from another's: a driver's folder, and
// the two of PoCL's keys.
const entryDepth = 3

// tarBytes bounds what the archive adds to a file: its headers and padding.
const tarBytes = 8 * 512

// usedResolution is how exactly is kept when a program was used last: a package is not written anew for less.
const usedResolution = time.Hour

// Manifest is what a package held, by path below the folder.
type Manifest map[string]held

// held is one file of a package.
type held struct {
	size int64
	used time.Time // its program was, when it was packed
}

// packed is one file to be packed.
type packed struct {
	path    string // below the folder
	size    int64
	written time.Time
}

// entry is one program's files.
type entry struct {
	files []packed
	bytes int64
	used  time.Time // when the newest of its files was written
}

// Pack writes the files below folder into sealed memory, which the caller closes: the programs used last, as many as a
// package may hold. It returns nil where that would be, but for when programs were used, the package that was unpacked there
// before since and held had.
func Pack(folder string, since time.Time, had Manifest) (*os.File, error) {
	entries, err := list(folder)
	if err != nil {
		return nil, fmt.Errorf("packing builds: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e *entry) bool { return e.changed(since, had) }) {
		return nil, nil
	}
	fd, err := unix.MemfdCreate("sluice-builds", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("packing builds: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "builds")
	err = write(memory, folder, entries)
	if err == nil {
		_, err = unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		memory.Close()
		return nil, fmt.Errorf("packing builds: %w", err)
	}
	return memory, nil
}

// changed says whether the program's files are others than had, or its use is no longer kept well enough.
func (e *entry) changed(since time.Time, had Manifest) bool {
	return slices.ContainsFunc(e.files, func(f packed) bool {
		before, known := had[f.path]
		return f.written.After(since) && (!known || before.size != f.size || since.Sub(before.used) >= usedResolution)
	})
}

// list finds the programs below folder, the one used last first.
func list(folder string) ([]*entry, error) {
	byName := map[string]*entry{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // never made, or removed meanwhile
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		below, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		parts := strings.Split(below, string(filepath.Separator))
		if len(parts) <= entryDepth {
			return nil // the driver's passing files
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		name := filepath.Join(parts[:entryDepth]...)
		if byName[name] == nil {
			byName[name] = &entry{}
		}
		e := byName[name]
		e.files = append(e.files, packed{below, info.Size(), info.ModTime()})
		e.bytes += info.Size() + tarBytes + int64(len(below))
		if info.ModTime().After(e.used) {
			e.used = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries := make([]*entry, 0, len(byName))
	for _, e := range byName {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return b.used.Compare(a.used) })
	return entries, nil
}

func write(memory io.Writer, folder string, entries []*entry) error {
	buffered := bufio.NewWriterSize(memory, 1<<20)
	archive := tar.NewWriter(buffered)
	room := int64(PackageBytesMax - tarBytes)
	for _, e := range entries {
		if e.bytes > room {
			continue
		}
		room -= e.bytes
		for _, f := range e.files {
			if err := writeFile(archive, folder, f, e.used); err != nil {
				return err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// writeFile packs one file with the time at which its program was used.
func writeFile(archive *tar.Writer, folder string, f packed, used time.Time) error {
	file, err := os.Open(filepath.Join(folder, f.path))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := archive.WriteHeader(&tar.Header{Name: f.path, Size: f.size, Mode: 0o600, ModTime: used, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.CopyN(archive, file, f.size)
	return err
}

// Unpack writes a package's files below folder, which is a worker's own. It returns those that came so far beside an error.
func Unpack(folder string, from io.Reader) (Manifest, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("unpacking builds: %w", err)
	}
	manifest := make(Manifest)
	archive := tar.NewReader(bufio.NewReaderSize(io.LimitReader(from, PackageBytesMax), 1<<20))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return manifest, nil
		}
		if err == nil {
			err = readFile(folder, header, archive)
		}
		if err != nil {
			return manifest, fmt.Errorf("unpacking builds: %w", err)
		}
		manifest[header.Name] = held{header.Size, header.ModTime}
	}
}

func readFile(folder string, header *tar.Header, from io.Reader) error {
	if !filepath.IsLocal(header.Name) {
		return fmt.Errorf("%q lies elsewhere", header.Name)
	}
	path := filepath.Join(folder, header.Name)
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			file, err = os.OpenFile(path, flags, 0o600)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	used := unix.NsecToTimeval(header.ModTime.UnixNano())
	return errors.Join(err, unix.Futimes(int(file.Fd()), []unix.Timeval{used, used}), file.Close())
}
