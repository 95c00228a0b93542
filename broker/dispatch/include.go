package dispatch

// #include "driver.h"
import "C"

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"sluice/vdev/wire"
)

// errIncluded is a breach of the protocol: files that are not as the shim writes them.
var errIncluded = errors.New("malformed files of a build")

// included is a file, or a folder that is searched for files.
type included struct {
	kind       uint32
	path, text string
}

// headers are the folders of builds under way that brought files with them.
type headers struct {
	mutex sync.Mutex
	users map[string]int
}

// parseIncluded splits what the shim found.
func parseIncluded(b []byte) ([]included, error) {
	var entries []included
	for len(b) > 0 {
		if len(b) < 16 || len(entries) == wire.IncludedMax+wire.IncludedMax {
			return nil, fmt.Errorf("%w: %d bytes behind %d", errIncluded, len(b), len(entries))
		}
		kind, pathBytes, textBytes := binary.LittleEndian.Uint32(b), uint64(binary.LittleEndian.Uint32(b[4:])), binary.LittleEndian.Uint64(b[8:])
		b = b[16:]
		if kind > wire.IncludedFile || pathBytes > wire.IncludedPathMax || pathBytes > uint64(len(b)) || textBytes > uint64(len(b))-pathBytes {
			return nil, fmt.Errorf("%w: kind %d, a path of %d bytes and a text of %d in %d", errIncluded, kind, pathBytes, textBytes, len(b))
		}
		e := included{kind, string(b[:pathBytes]), string(b[pathBytes : pathBytes+textBytes])}
		if !strings.HasPrefix(e.path, "/") || strings.ContainsRune(e.path, 0) || strings.Count(e.path, "/") > wire.IncludedFoldersMax {
			return nil, fmt.Errorf("%w: path %q", errIncluded, e.path)
		}
		entries = append(entries, e)
		b = b[pathBytes+textBytes:]
	}
	return entries, nil
}

// place makes every folder on the way of a path under root, so that a way through
// one and back out of it can be gone, and returns where the path leads. It cannot
// lead out of root.
func place(root, path string) (string, error) {
	var way []string
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch {
		case s == "" || s == ".":
		case s == ".." && len(way) > 0:
			way = way[:len(way)-1]
		case s != "..":
			way = append(way, s)
		}
		if i < len(segments)-1 {
			if err := os.MkdirAll(filepath.Join(append([]string{root}, way...)...), 0o700); err != nil {
				return "", err
			}
		}
	}
	return filepath.Join(append([]string{root}, way...)...), nil
}

// absoluteInclude is an include of a file by its whole path, up to that.
var absoluteInclude = regexp.MustCompile(`(?m)^([ \t]*#[ \t]*include[ \t]*["<])/`)

// absoluteFolder stands for the root of the program's file system.
const absoluteFolder = "absolute"

// relocate makes the files that a text includes by their whole paths be looked for
// where they are laid out.
func relocate(text []byte) []byte {
	return absoluteInclude.ReplaceAll(text, []byte("${1}"+absoluteFolder+"/"))
}

// write lays the files out as they lie in the program's file system, and names the
// folders that are searched by their numbers.
func write(root string, entries []included) error {
	tree := filepath.Join(root, "tree")
	if err := os.Symlink(tree, filepath.Join(root, absoluteFolder)); err != nil {
		return err
	}
	folders := 0
	for _, e := range entries {
		switch e.kind {
		case wire.IncludedFolder:
			at, err := place(tree, e.path+"/")
			if err != nil {
				return err
			}
			if err := os.Symlink(at, filepath.Join(root, strconv.Itoa(folders))); err != nil {
				return err
			}
			folders++
		case wire.IncludedFile:
			at, err := place(tree, e.path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(at, relocate([]byte(e.text)), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// take lays out the files of a build in a folder of their own, whose name depends
// on them alone: drivers and caches see the same options for the same build.
func (h *headers) take(under string, b []byte, entries []included) (string, error) {
	sum := sha256.Sum256(b)
	root := filepath.Join(under, hex.EncodeToString(sum[:16]))
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.users[root] == 0 {
		if err := os.MkdirAll(root, 0o700); err != nil {
			return "", fmt.Errorf("a folder for included files: %w", err)
		}
		if err := write(root, entries); err != nil {
			_ = os.RemoveAll(root)
			return "", fmt.Errorf("writing included files: %w", err)
		}
	}
	if h.users == nil {
		h.users = make(map[string]int)
	}
	h.users[root]++
	return root, nil
}

func (h *headers) give(root string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.users[root]--; h.users[root] == 0 {
		delete(h.users, root)
		_ = os.RemoveAll(root)
	}
}

// include lays out the files that came with a build and notes them in b. It
// returns the options that name their folders, for the driver, and what is to be
// called after the build.
func (t *thread) include(b *build, options, rest, files []byte) (string, func(), C.cl_int) {
	b.folders = nil
	if len(files) == 0 {
		return string(options), func() {}, C.CL_SUCCESS
	}
	l := t.session.lease
	if len(files) > wire.IncludedBytesMax {
		t.violate("%d bytes of files of a build", len(files))
		return "", nil, C.CL_INVALID_VALUE
	}
	entries, err := parseIncluded(files)
	if err != nil {
		t.violate("%v", err)
		return "", nil, C.CL_INVALID_VALUE
	}
	root, err := l.headers.take(l.limits.HeaderFolder, files, entries)
	if err != nil {
		t.session.log.Warn("a build's files", "error", err)
		return "", nil, C.CL_OUT_OF_RESOURCES
	}
	var text strings.Builder
	for _, e := range entries {
		if e.kind != wire.IncludedFolder {
			continue
		}
		folder := filepath.Join(root, strconv.Itoa(len(b.folders)/2))
		fmt.Fprintf(&text, "-I %s ", folder)
		b.folders = append(b.folders, folder+"/", strings.TrimSuffix(e.text, "/")+"/")
	}
	fmt.Fprintf(&text, "-I %s ", root)
	b.folders = append(b.folders, filepath.Join(root, absoluteFolder)+"/", "/")
	text.Write(rest)
	return text.String(), func() { l.headers.give(root) }, C.CL_SUCCESS
}

// asSpelled names folders in a build's log as the program did.
func (b *build) asSpelled(log []byte) []byte {
	if len(b.folders) == 0 {
		return log
	}
	return []byte(strings.NewReplacer(b.folders...).Replace(string(log)))
}
