// GNUstep's headers ask for this file where the compiler has blocks. GCC's runtime has none of its own.
#include <Block.h>
