// Joints of a person in a photograph with OpenVINO:  pose_openvino MODEL.xml PHOTO.ppm X Y WIDTH HEIGHT
// It reads ONNX files, too.
#include "pose.h"

#include <openvino/openvino.hpp>

#include <exception>

int main(int count, char** words)
try {
    const auto call = pose::arguments(count, words);
    ov::Core core;
    auto model = core.read_model(call.model);
    const auto taken = model->input().get_partial_shape();
    if (taken.size() != 4 || taken[1] != 3) throw std::runtime_error(call.model + " does not take (N, 3, H, W)");
    const size_t height = taken[2].is_static() ? taken[2].get_length() : 256;
    const size_t width = taken[3].is_static() ? taken[3].get_length() : 192;
    // A graph for one image is faster than one that leaves the batch free.
    model->reshape(ov::PartialShape{1, 3, static_cast<int64_t>(height), static_cast<int64_t>(width)});
    // By itself OpenVINO computes in bfloat16 on some processors, which moves joints.
    auto compiled = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32),
                                       ov::inference_num_threads(1),
                                       ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY));

    const auto crop = pose::crop(call.photo, call.box, static_cast<int>(height), static_cast<int>(width));
    auto image = pose::to_input(crop);
    auto request = compiled.create_infer_request();
    request.set_input_tensor(ov::Tensor(ov::element::f32, {1, 3, height, width}, image.data()));
    request.infer();

    const auto maps = request.get_output_tensor();  // (1, joints, H / 4, W / 4)
    return pose::report(pose::decode(maps.data<const float>(), maps.get_shape().at(1), crop), call.reference);
} catch (const std::exception& error) {
    std::fprintf(stderr, "pose_openvino: %s\n", error.what());
    return 2;
}
