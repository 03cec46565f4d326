// Joints of a person in a photograph with ncnn:  pose_ncnn MODEL.ncnn.param PHOTO.ppm X Y WIDTH HEIGHT
// MODEL.ncnn.bin must be beside the .param file.
#include "pose.h"

#include <net.h>

#include <exception>

// The Input line of a file that `litehrnet export` wrote says the only size at which it runs: 0=width 1=height.
static void read_size(const std::string& path, int& height, int& width)
{
    std::ifstream file(path);
    std::string line, word;
    for (height = width = 0; std::getline(file, line);)
        if (line.rfind("Input", 0) == 0) {
            for (size_t at = line.find('='); at != std::string::npos; at = line.find('=', at + 1)) {
                const std::string key = line.substr(line.rfind(' ', at) + 1, at - line.rfind(' ', at) - 1);
                if (key == "0") width = std::stoi(line.substr(at + 1));
                if (key == "1") height = std::stoi(line.substr(at + 1));
            }
            break;
        }
    if (height < 1 || width < 1) throw std::runtime_error(path + " does not say its input's size");
}

int main(int count, char** words)
try {
    const auto call = pose::arguments(count, words);
    const std::string weights = call.model.substr(0, call.model.rfind('.')) + ".bin";
    int height, width;
    read_size(call.model, height, width);

    ncnn::Net net;
    net.opt.num_threads = 1;
    // By itself ncnn stores and computes in 16 bits where the processor can.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false;
    if (net.load_param(call.model.c_str()) || net.load_model(weights.c_str()))
        throw std::runtime_error("ncnn cannot load " + call.model + " with " + weights);

    const auto crop = pose::crop(call.photo, call.box, height, width);
    const auto image = pose::to_input(crop);
    auto extractor = net.create_extractor();
    ncnn::Mat input(width, height, 3), maps;
    const size_t pixels = static_cast<size_t>(height) * width;
    for (int k = 0; k < 3; k++) {  // ncnn may leave gaps between channels
        float* channel = input.channel(k);
        std::copy_n(image.data() + k * pixels, pixels, channel);
    }
    if (extractor.input(net.input_names().at(0), input) || extractor.extract(net.output_names().at(0), maps))
        throw std::runtime_error("ncnn cannot run " + call.model);
    std::vector<float> values;
    for (int k = 0; k < maps.c; k++) {
        const float* map = maps.channel(k);
        values.insert(values.end(), map, map + static_cast<size_t>(maps.h) * maps.w);
    }
    return pose::report(pose::decode(values.data(), static_cast<size_t>(maps.c), crop), call.reference);
} catch (const std::exception& error) {
    std::fprintf(stderr, "pose_ncnn: %s\n", error.what());
    return 2;
}
