/* Mutates a .lhr file and loads it, many times; built with sanitizers by test_c.py.
 *
 *     fuzz headers FILE COUNT SEED     changes in the header, the names and the JSON
 *     fuzz files FILE COUNT SEED       changes anywhere, files cut short, made longer, or with parts moved
 *
 * In every other case the checksum is made right again, so that the checks behind it are reached, too. What loads is
 * run at the smallest size. Prints how many loaded. */
#include "litehrnet.c"

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % sides;
}

static uint8_t odd_byte(void)
{
    const uint8_t usual[] = {0, 1, 2, 4, 8, 16, 32, 64, 127, 128, 255};
    return dice(2) ? usual[dice(sizeof usual)] : (uint8_t)dice(256);
}

static int try_it(const uint8_t *bytes, size_t size, const float *image, float *maps)
{
    lhr_network *network;
    lhr_context *context;
    if (lhr_load_memory(&network, bytes, size)) return 0;
    if (lhr_joints(network) <= 64 && dice(20) == 0 && !lhr_context_new(&context, network, 32, 32, 1)) {
        if (lhr_run(context, image, 1, maps)) abort();
        lhr_context_free(context);
    }
    for (int joint = -1; joint <= lhr_joints(network); joint++) (void)lhr_joint_name(network, joint);
    lhr_free(network);
    return 1;
}

int main(int count, char **words)
{
    if (count != 5) return 2;
    FILE *file = fopen(words[2], "rb");
    if (!file) return 2;
    static uint8_t whole[1 << 20], bytes[1 << 21];
    static float image[3 * 32 * 32], maps[64 * 8 * 8];
    const size_t size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    const int headers = words[1][0] == 'h', cases = atoi(words[3]);
    state = strtoull(words[4], NULL, 10);
    if (!try_it(whole, size, image, maps)) return 3; /* the file itself must load */
    const size_t head = HEADER + read_u32(whole + 124) + read_u32(whole + 128);
    int loaded = 0;
    for (int n = 0; n < cases; n++) {
        size_t length = size;
        memcpy(bytes, whole, size);
        for (int left = 1 + (int)dice(4); left; left--) {
            const size_t reach = headers ? (dice(4) ? HEADER : head) : length;
            if (!reach) break;
            const size_t at = dice((uint32_t)reach), other = dice((uint32_t)reach);
            switch (headers ? dice(3) : dice(6)) {
            case 0: bytes[at] = odd_byte(); break;
            case 1: bytes[at] ^= (uint8_t)(1 << dice(8)); break;
            case 2: /* a whole number */
                for (size_t i = 0; i < 4 && at / 4 * 4 + i < length; i++) bytes[at / 4 * 4 + i] = i ? (uint8_t)-(int)dice(2) : odd_byte();
                break;
            case 3: length = at; break;
            case 4: memmove(bytes + at, bytes + other, length - (at > other ? at : other)); break;
            default: length += dice(64); break;
            }
        }
        if (length >= 16 && dice(2)) {
            const uint32_t sum = crc32_of(bytes + 16, length - 16);
            for (int i = 0; i < 4; i++) bytes[12 + i] = (uint8_t)(sum >> 8 * i);
        }
        /* Its own block of exactly this length, so that a byte too far is found. */
        uint8_t *exact = malloc(length ? length : 1);
        if (!exact) return 2;
        memcpy(exact, bytes, length);
        loaded += try_it(exact, length, image, maps);
        free(exact);
    }
    printf("%d of %d loaded\n", loaded, cases);
    return 0;
}
