// The header of the C++ examples, for tests/test_cpp.py:
//   cpp_pose crop PHOTO.ppm X Y WIDTH HEIGHT ROWS COLUMNS > crop (uint8) and input (float32)
//   cpp_pose decode ROWS COLUMNS JOINTS < heatmaps (float32) > x, y, score (float64)
#include "pose.h"

#include <cstring>

template <class T>
static void put(const std::vector<T>& values)
{
    std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

int main(int, char** words)
{
    const auto number = [words](int place) { return std::atoi(words[place]); };
    if (!std::strcmp(words[1], "crop")) {
        const auto photo = pose::read_ppm(words[2]);
        const std::array<double, 4> box{std::stod(words[3]), std::stod(words[4]), std::stod(words[5]), std::stod(words[6])};
        const auto crop = pose::crop(photo, box, number(7), number(8));
        put(crop.rgb);
        put(pose::to_input(crop));
        return 0;
    }
    const pose::Crop crop{number(2), number(3), 1.0, 0.0, 0.0, {}};
    const size_t joints = static_cast<size_t>(number(4));
    std::vector<float> maps(joints * ((crop.height + 3) / 4) * ((crop.width + 3) / 4));
    if (std::fread(maps.data(), sizeof(float), maps.size(), stdin) != maps.size()) return 1;
    put(pose::decode(maps.data(), joints, crop));
    return 0;
}
