package inject

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// libraryKind is the folder, beside the shim, of the libraries for one kind of C library.
type libraryKind string

// The kinds: glibc since 2.34, which the shim itself is for, glibc whose threads are a library of their own, and musl.
const (
	glibc      libraryKind = ""
	libpthread libraryKind = "libpthread"
	musl       libraryKind = "musl"
)

// folder is the name of the kind's folder of what is called name.
func (k libraryKind) folder(name string) string { return strings.TrimSuffix(name+"-"+string(k), "-") }

// Image is what of an image decides how its programs find the shim.
type Image struct {
	// Loader says that it has an OpenCL loader.
	Loader bool
	kind   libraryKind
}

// libraryFolders is where dynamic linkers look without being told.
var libraryFolders = []string{
	"lib", "lib64", "lib/*-linux-*", "usr/lib", "usr/lib64", "usr/lib/*-linux-*",
	"usr/local/lib", "usr/local/lib64", "usr/local/lib/*-linux-*",
}

// Look looks into an image's root folder. Links in it that lead out of it are not followed.
func Look(root string) (Image, error) {
	opened, err := os.OpenRoot(root)
	if err != nil {
		return Image{}, fmt.Errorf("look into the image: %w", err)
	}
	defer opened.Close()
	image := Image{Loader: holds(opened.FS(), loaderName), kind: glibc}
	switch {
	case holds(opened.FS(), "ld-musl-*.so.1"):
		image.kind = musl
	case holds(opened.FS(), "libpthread.so.0"):
		image.kind = libpthread
	}
	return image, nil
}

// holds says whether an image has a library of that name.
func holds(root fs.FS, name string) bool {
	for _, folder := range libraryFolders {
		if found, err := fs.Glob(root, path.Join(folder, name)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
